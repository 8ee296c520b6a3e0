"""Passwords of the demo accounts as salted scrypt hashes: the launcher writes, the hub checks."""

import base64
import binascii
import hashlib
import hmac
import secrets

# 16 MiB and about 50 ms for each guess, as RFC 7914 suggests for interactive logins. The numbers
# are written into each hash, so they can grow later.
_COST, _BLOCK, _LANES = 2**14, 8, 1
_SALT_BYTES = 16
_KEY_BYTES = 32
# scrypt needs 128 x cost x block bytes; what asks for more than this is not one of our hashes.
_MEMORY_BYTES = 64 * 1024 * 1024
_MOST_CHARS = 1024


def hash_password(password: str) -> str:
    """Hash a password with a new salt: `scrypt$cost$block$lanes$salt$key`."""
    salt = secrets.token_bytes(_SALT_BYTES)
    key = _key(password, salt, _COST, _BLOCK, _LANES)
    return f"scrypt${_COST}${_BLOCK}${_LANES}${_text(salt)}${_text(key)}"


def check_password(password: str, hashed: str) -> bool:
    """Tell whether a password belongs to a hash; a broken hash belongs to none."""
    if len(password) > _MOST_CHARS:
        return False
    try:
        kind, cost, block, lanes, salt, key = hashed.split("$")
        wanted = base64.b64decode(key, validate=True)
        got = _key(password, base64.b64decode(salt, validate=True), int(cost), int(block),
                   int(lanes))  # fmt: skip
    except (ValueError, binascii.Error):
        return False
    return kind == "scrypt" and hmac.compare_digest(wanted, got)


def _key(password: str, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    # Lone surrogates have no UTF-8; they are somebody's nonsense, not an error of ours.
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=cost, r=block, p=lanes,
        maxmem=_MEMORY_BYTES, dklen=_KEY_BYTES,
    )  # fmt: skip


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
