"""People's names as names of folders and volumes: nothing can escape, nothing can collide."""

import hashlib
import string

_SAFE = frozenset((string.ascii_lowercase + string.digits).encode())
_LONGEST = 100
_KEPT = 60


def safe_name(name: str) -> str:
    """Turn any text into a short name of lower-case letters, digits and hyphens.

    Everything else becomes a hyphen and two hexadecimal digits per byte, the hyphen too, so no
    two texts give one name. Longer ones are cut and told apart by a hash; nothing else gives two
    hyphens in a row, or one hyphen alone.
    """
    data = name.encode("utf-8", "surrogatepass")
    escaped = "".join(chr(byte) if byte in _SAFE else f"-{byte:02x}" for byte in data)
    if len(escaped) <= _LONGEST:
        return escaped or "-"
    digest = hashlib.sha256(data).hexdigest()[:32]
    return f"{escaped[:_KEPT].rstrip('-')}--{digest}"
