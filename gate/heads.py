"""The head of an HTTP request, read strictly: what can be read in two ways is not read; pure.

The gate writes its own request for the engine from what is here, so that the engine never sees a
byte that was not understood.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from gate.errors import Malformed, Refused, TooLarge

# A head of the lab's programs has under 1 kB, the body of a create request under 8 kB.
MOST_HEAD_BYTES = 16_384
MOST_BODY_BYTES = 131_072
_MOST_PARAMETERS = 12

_START = re.compile(r"([A-Z]{3,10}) (/[!-~]*) HTTP/1\.[01]")
_FIELD = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~]*)")
_PATH = re.compile(r"[A-Za-z0-9_./:@-]+")
_VERSION = re.compile(r"v1\.(\d{1,2})")
# Before 1.24 the engine takes a configuration, privileges and all, with the start of a container.
_OLDEST_MINOR = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked: the path's words stand without the version of the API."""

    method: str
    version: str
    words: tuple[str, ...]
    query: Mapping[str, str]
    body_bytes: int

    @property
    def shown(self) -> str:
        """The request in short, for sentences and logs."""
        return f"{self.method} /{'/'.join(self.words)}"[:200]


def parse_head(data: bytes) -> Request:
    """Read everything up to and with the empty line.

    Raises:
        Refused: there is more than one way to read it, or it asks for more than an answer.

    """
    first, *rest = _lines(data)
    start = _START.fullmatch(first)
    if start is None:
        raise Malformed("the request line is not one of HTTP/1.1 with a path")
    method, target = start.groups()
    fields = _fields(rest)
    path, _, query = target.partition("?")
    version, words = _words(path)
    return Request(method=method, version=version, words=words, query=_query(query),
                   body_bytes=_body_bytes(fields))  # fmt: skip


def _lines(data: bytes) -> list[str]:
    if len(data) > MOST_HEAD_BYTES:
        raise TooLarge("the head of the request is too long")
    try:
        lines = data.removesuffix(b"\r\n\r\n").decode("ascii").split("\r\n")
    except UnicodeDecodeError as error:
        raise Malformed("the head of the request is not plain ASCII") from error
    if any(sign in line for line in lines for sign in "\r\n\0"):
        raise Malformed("the lines of the head do not end as they should")
    return lines


def _fields(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Malformed("a line of the head is no header")
        name, value = field[1].lower(), field[2].strip()
        if name in found and name in {"content-length", "host"}:
            raise Malformed(f"the header {name} is there twice")
        found[name] = value
    if "transfer-encoding" in found:
        raise Malformed("a body has to come in one piece, with its length")
    if "upgrade" in found or "upgrade" in found.get("connection", "").lower():
        raise Refused("connections to containers and to the engine are not handed over")
    if "expect" in found:
        raise Malformed("the header expect is not understood")
    return found


def _body_bytes(fields: Mapping[str, str]) -> int:
    text = fields.get("content-length", "0")
    if re.fullmatch(r"[0-9]{1,12}", text) is None:
        raise Malformed("the length of the body is no number")
    if int(text) > MOST_BODY_BYTES:
        raise TooLarge("the body of the request is too long")
    return int(text)


def _words(path: str) -> tuple[str, tuple[str, ...]]:
    try:
        plain = unquote(path, errors="strict")
    except UnicodeDecodeError:
        plain = ""
    # Nothing that is left could be unquoted a second time.
    if _PATH.fullmatch(plain) is None:
        raise Malformed("the path has signs that no path of the lab has")
    words = plain.removeprefix("/").split("/")
    if any(word in {"", ".", ".."} for word in words):
        raise Malformed("the path is not in its plain form")
    version = _VERSION.fullmatch(words[0])
    if version is None:
        return "", tuple(words)
    if int(version[1]) < _OLDEST_MINOR:
        raise Refused(f"version {words[0]} of the engine's API is too old")
    return words[0], tuple(words[1:])


def _query(text: str) -> dict[str, str]:
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True, errors="strict",
                          max_num_fields=_MOST_PARAMETERS)  # fmt: skip
    except ValueError as error:
        raise Malformed("the parameters of the request cannot be read") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("a parameter of the request is there twice")
    return found
