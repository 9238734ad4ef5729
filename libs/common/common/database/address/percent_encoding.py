"""Percent-decoding of an address's parts (RFC 3986, 2.1), and the error for an address that is not accepted."""

from urllib.parse import unquote


class InvalidAddress(ValueError):
    """Names the part that is wrong. The message never contains the address, which has a password."""


def decode(text: str, part: str) -> str:
    """Raises `InvalidAddress`, naming `part`, for bytes that are not UTF-8, and for NUL, which PostgreSQL rejects."""
    try:
        decoded = unquote(text, errors="strict")
        decoded.encode()
    except UnicodeError:
        raise InvalidAddress(f"has percent-encoded bytes in {part} that are not UTF-8") from None
    if "\0" in decoded:
        raise InvalidAddress(f"has a NUL character in {part}")
    return decoded
