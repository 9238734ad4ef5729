"""Reading the parts and headers of a MIME message; whatever is malformed is returned as far as it can be read."""

import re
from collections.abc import Iterator
from email.message import EmailMessage

# Surrogates that stand for no raw byte (PEP 383), such as malformed UTF-7 produces.
LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def headers(message: EmailMessage, name: str) -> list[object]:
    """All headers of this name: parsed according to their type, or as strings if the parser fails."""
    try:
        return message.get_all(name, [])
    except Exception:
        return [value for key, value in message.raw_items() if key.casefold() == name.casefold()]


def readable(text: str) -> str:
    """The text with the raw bytes of a header (surrogates in Python) decoded as UTF-8, or replaced by U+FFFD."""
    raw = LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


def leaf_parts(message: EmailMessage, prefix: str = "") -> Iterator[tuple[str, EmailMessage]]:
    """Parts that are not multipart, with Mailpit's numbers: `0` for a message without parts, else `1`, `2`, `2.1`."""
    if message.get_content_maintype() != "multipart":
        yield prefix or "0", message
        return
    for position, part in enumerate(message.iter_parts(), start=1):
        if isinstance(part, EmailMessage):
            yield from leaf_parts(part, f"{prefix}.{position}" if prefix else str(position))


def is_attachment(part: EmailMessage) -> bool:
    is_text = part.get_content_type() in {"text/plain", "text/html"}
    return not is_text or part.is_attachment() or part.get_filename() is not None


def is_inline(part: EmailMessage) -> bool:
    return part.get_content_disposition() == "inline" and "Content-ID" in part


def content(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    if isinstance(payload, bytes):
        return payload
    # A forwarded message (message/rfc822) has no bytes of its own.
    return b"".join(inner.as_bytes() for inner in part.iter_parts())


def text(part: EmailMessage) -> str:
    try:
        return readable(str(part.get_content()))
    except (LookupError, ValueError):  # the character set is unknown to Python, or is no text encoding
        return content(part).decode("utf-8", "replace")
