"""Checks of a request's head that the parser does not make: version, target, `Host` and `Transfer-Encoding`."""

import re
from collections.abc import Sequence

from common.errors import Code, Problem
from common.running.http.limits import MAX_HEAD_BYTES

# RFC 3986, 3.2.2 and 3.2.3, without the empty host, which RFC 9110 (4.2.1) refuses.
_HOST = re.compile(rb"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]{0,5})?")
_ABSOLUTE_TARGET = re.compile(rb"https?://([^/?#]*)([^#]*)", re.IGNORECASE)
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}(?= )")
# The spaces and tabs that RFC 9112 (5) allows around a value.
_BLANKS = b" \t"

Headers = Sequence[tuple[bytes, bytes]]


def bad_request(message: str, **details: object) -> Problem:
    return Problem(Code.BAD_REQUEST, message, details)


def head_too_large() -> Problem:
    return bad_request(f"The head has more than {MAX_HEAD_BYTES} bytes.", limit_bytes=MAX_HEAD_BYTES)


def head_size(method: bytes, target: bytes, headers: Headers) -> int:
    """Bytes of the request line and the header lines in their usual form."""
    return (
        len(method) + len(target) + len(b"  HTTP/1.1\r\n") + sum(len(n) + len(v) + len(b": \r\n") for n, v in headers)
    )


def check_host(version: str, host: bytes | None) -> None:
    """The header must name a host (RFC 9112, 3.2); HTTP/1.0 does not need one. Raises `Problem`."""
    if host is None:
        if version == "1.1":
            raise bad_request("The header Host is missing.")
    elif _HOST.fullmatch(host.strip(_BLANKS)) is None:
        raise bad_request("The header Host does not name a host.")


def check_transfer_encoding(version: str, encoding: bytes) -> None:
    """Only `chunked`, and not in HTTP/1.0 (RFC 9112, 6.1). Raises `Problem`."""
    if version != "1.1":
        raise bad_request("HTTP/1.0 has no Transfer-Encoding.")
    if encoding.strip(_BLANKS).lower() != b"chunked":
        raise bad_request("The only Transfer-Encoding is chunked.")


def origin_target(method: bytes, target: bytes) -> bytes:
    """The target as path and query, also where a client sends the whole URL (RFC 9112, 3.2.2). Raises `Problem`."""
    if method == b"CONNECT":
        raise Problem(Code.METHOD_NOT_ALLOWED, "CONNECT is not possible here.")
    absolute = _ABSOLUTE_TARGET.fullmatch(target)
    if absolute is not None:
        if _HOST.fullmatch(absolute[1]) is None:
            raise bad_request("The address does not name a host.")
        return absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    if target == b"*" and method == b"OPTIONS":
        return target
    raise bad_request("The address must begin with a slash.")


def method_of(data: bytes) -> bytes | None:
    """The method at the beginning of a request line, if its characters are those of a method."""
    method = _METHOD.match(data)
    return method[0] if method is not None else None
