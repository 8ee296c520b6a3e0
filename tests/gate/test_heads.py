"""What can be read in two ways is not read."""

import pytest

from gate.errors import Malformed, Refused, TooLarge
from gate.heads import parse_head

START = b"GET /v1.41/containers/json?all=1 HTTP/1.1\r\n"


def head(first: str = "GET /_ping HTTP/1.1", *fields: str) -> bytes:
    return "\r\n".join([first, *fields, "", ""]).encode("latin-1")


def test_a_plain_request_is_read() -> None:
    target = "/v1.41/images/gpulab/base%40sha256:ab/json?a=1&b=%7B%7D&c="
    found = parse_head(head(f"POST {target} HTTP/1.1", "Host: docker", "content-length: 12"))
    assert (found.method, found.version, found.body_bytes) == ("POST", "v1.41", 12)
    assert found.words == ("images", "gpulab", "base@sha256:ab", "json")
    assert found.query == {"a": "1", "b": "{}", "c": ""}


@pytest.mark.parametrize(
    "data",
    [
        head("GET /_ping"),
        head("GET http://docker/_ping HTTP/1.1"),
        head("GET * HTTP/1.1"),
        head("GET /_ping HTTP/2.0"),
        head("GET  /_ping HTTP/1.1"),
        head("get /_ping HTTP/1.1"),
        head("GET /_ping\tHTTP/1.1"),
        head("GET /containers/../volumes HTTP/1.1"),
        head("GET /containers/%2e%2e/volumes HTTP/1.1"),
        head("GET //containers/json HTTP/1.1"),
        head("GET /containers/json/ HTTP/1.1"),
        head("GET /containers%2Fjson%00 HTTP/1.1"),
        head("GET /containers/%252e%252e/json HTTP/1.1"),
        head("GET /containers/a\\b/json HTTP/1.1"),
        head("GET /containers/json;x HTTP/1.1"),
        head("GET /containers/json#x HTTP/1.1"),
        head("GET /containers/%ff/json HTTP/1.1"),
        head("GET /_ping?a=1&a=2 HTTP/1.1"),
        head("GET /_ping?a HTTP/1.1"),
        head("GET /_ping HTTP/1.1", "Content-Length: 1", "Content-Length: 1"),
        head("GET /_ping HTTP/1.1", "Content-Length: 1", "content-length: 2"),
        head("GET /_ping HTTP/1.1", "Content-Length: 1, 1"),
        head("GET /_ping HTTP/1.1", "Content-Length: +1"),
        head("GET /_ping HTTP/1.1", "Content-Length: 0x1"),
        head("GET /_ping HTTP/1.1", "Content-Length:"),
        head("POST /_ping HTTP/1.1", "Transfer-Encoding: chunked"),
        head("POST /_ping HTTP/1.1", "Transfer-Encoding: identity", "Content-Length: 3"),
        head("POST /_ping HTTP/1.1", "Transfer-Encoding : chunked"),
        head("POST /_ping HTTP/1.1", "X: y", " Transfer-Encoding: chunked"),
        head("GET /_ping HTTP/1.1", "Host: a", "Host: b"),
        head("GET /_ping HTTP/1.1", "Expect: 100-continue"),
        head("GET /_ping HTTP/1.1", "X: \xe9"),
        b"GET /_ping HTTP/1.1\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nX: a\0b\r\n\r\n",
        b"\r\n\r\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse_head(data)


@pytest.mark.parametrize(
    "data",
    [
        head("POST /v1.41/containers/x/attach HTTP/1.1", "Upgrade: tcp"),
        head("GET /_ping HTTP/1.1", "Connection: keep-alive, Upgrade"),
        head("POST /v1.23/containers/x/start HTTP/1.1"),
        head("GET /v1.9/_ping HTTP/1.1"),
    ],
)
def test_connections_and_old_versions_are_not_handed_over(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse_head(data)
    assert not isinstance(refused.value, Malformed)


@pytest.mark.parametrize(
    "data", [START + b"X: " + b"a" * 20_000 + b"\r\n\r\n", head("POST /x HTTP/1.1",
                                                                "Content-Length: 900000000")]
)  # fmt: skip
def test_what_is_too_long_is_not_read(data: bytes) -> None:
    with pytest.raises(TooLarge):
        parse_head(data)
