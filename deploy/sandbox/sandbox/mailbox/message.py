"""Reading a stored message into the JSON shapes of Mailpit's API (https://mailpit.axllent.org/docs/api-v1/).

A mailbox takes what it is sent, so any bytes may be stored: what cannot be parsed is shown as far as it can be read.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import AddressHeader, DateHeader
from email.message import EmailMessage
from typing import Any

from sandbox.mailbox.store import arrival_time

SNIPPET_LENGTH = 250
MOST_MULTIPARTS = 50
# Halves of surrogate pairs that stand for no raw byte (PEP 383), as bad UTF-7 makes them.
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


def read_message(message_id: str, raw: bytes) -> "StoredMessage":
    """Never fails: a message that Python's parser gives up on is shown as its source, in one text."""
    try:
        if raw.lower().count(b"boundary=") > MOST_MULTIPARTS:
            raise ValueError("parsing takes 5 ms for each level of nesting, and nobody else is served meanwhile")
        message = StoredMessage(message_id, raw)
        message.document()  # all that is shown of it can be made
        return message
    except Exception:  # the parser's errors are of any kind
        source = b"Subject: (this message cannot be parsed)\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + raw
        return StoredMessage(message_id, source)


class StoredMessage:
    """Parsed; all texts that it gives can be encoded."""

    def __init__(self, message_id: str, raw: bytes) -> None:
        self._id = message_id
        self._size = len(raw)
        self._message = message_from_bytes(raw, policy=policy.default)
        leaves = list(_leaves(self._message))
        self._attachments = [(part_id, part) for part_id, part in leaves if _is_attachment(part)]
        bodies = [part for _, part in leaves if not _is_attachment(part)]
        self.text = "\n".join(_text(part) for part in bodies if part.get_content_type() == "text/plain")
        self._html = "\n".join(_text(part) for part in bodies if part.get_content_type() == "text/html")
        self._head = self._read_head()

    def summary(self) -> dict[str, Any]:
        """Mailpit's MessageSummary."""
        readable = self.text or re.sub(r"<[^>]*>", " ", self._html)
        return self._head | {
            "Read": False,
            "Created": _rfc3339(arrival_time(self._id)),
            "Attachments": len(self._attachments),
            "Snippet": " ".join(readable.split())[:SNIPPET_LENGTH],
        }

    def document(self) -> dict[str, Any]:
        """Mailpit's Message."""
        described = [(_is_inline(part), _describe(part_id, part)) for part_id, part in self._attachments]
        return self._head | {
            "ReturnPath": self._header("Return-Path").strip("<>"),
            "Date": _rfc3339(self._date()),
            "Text": self.text,
            "HTML": self._html,
            "Inline": [description for inline, description in described if inline],
            "Attachments": [description for inline, description in described if not inline],
        }

    def part(self, part_id: str) -> tuple[str, bytes]:
        """Content type and bytes. Raises KeyError for a part that is not there."""
        part = dict(_leaves(self._message))[part_id]
        content_type = part.get_content_type()
        return content_type if CONTENT_TYPE.fullmatch(content_type) else "application/octet-stream", _content(part)

    def _read_head(self) -> dict[str, Any]:
        senders, to, cc = self._addresses("From"), self._addresses("To"), self._addresses("Cc")
        named = {address["Address"].casefold() for address in [*to, *cc]}
        delivered = self._headers("Delivered-To")
        return {
            "ID": self._id,
            "MessageID": self._header("Message-ID").strip().strip("<>"),
            "From": senders[0] if senders else None,
            "To": to,
            "Cc": cc,
            "Bcc": [{"Name": "", "Address": address} for address in delivered if address.casefold() not in named],
            "ReplyTo": self._addresses("Reply-To"),
            "Subject": self._header("Subject"),
            "Username": "",
            "Tags": [],
            "Size": self._size,
        }

    def _headers(self, name: str) -> list[str]:
        return [_readable(str(value)) for value in _parsed(self._message, name)]

    def _header(self, name: str) -> str:
        return next(iter(self._headers(name)), "")

    def _addresses(self, name: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for value in _parsed(self._message, name):
            if isinstance(value, AddressHeader):
                found += [_person(each.display_name, each.addr_spec) for each in value.addresses]
            else:
                found.append(_person("", str(value)))
        return found

    def _date(self) -> datetime:
        for value in _parsed(self._message, "Date"):
            if isinstance(value, DateHeader) and value.datetime is not None:
                date: datetime = value.datetime
                return date if date.tzinfo else date.replace(tzinfo=UTC)
        return arrival_time(self._id)


def _parsed(message: EmailMessage, name: str) -> list[object]:
    """All headers of this name, parsed by their type; as texts where the parser fails."""
    try:
        return message.get_all(name, [])
    except Exception:
        return [value for key, value in message.raw_items() if key.casefold() == name.casefold()]


def _readable(text: str) -> str:
    """Raw bytes of a header (surrogates, to Python) as the UTF-8 that they may be; what is none becomes U+FFFD."""
    raw = _LONE_SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "replace")


def _person(name: str, address: str) -> dict[str, str]:
    return {"Name": _readable(name), "Address": _readable(address)}


def _leaves(message: EmailMessage, prefix: str = "") -> Iterator[tuple[str, EmailMessage]]:
    """Parts that are no multipart, numbered as Mailpit does: `0` for a message without parts, else `1`, `2`, `2.1`."""
    if message.get_content_maintype() != "multipart":
        yield prefix or "0", message
        return
    for position, part in enumerate(message.iter_parts(), start=1):
        if isinstance(part, EmailMessage):
            yield from _leaves(part, f"{prefix}.{position}" if prefix else str(position))


def _is_attachment(part: EmailMessage) -> bool:
    is_text = part.get_content_type() in {"text/plain", "text/html"}
    return not is_text or part.is_attachment() or part.get_filename() is not None


def _is_inline(part: EmailMessage) -> bool:
    return part.get_content_disposition() == "inline" and "Content-ID" in part


def _describe(part_id: str, part: EmailMessage) -> dict[str, Any]:
    return {
        "PartID": part_id,
        "FileName": _readable(part.get_filename() or ""),
        "ContentType": _readable(part.get_content_type()),
        "ContentID": _readable(next((str(value) for value in _parsed(part, "Content-ID")), "")).strip("<>"),
        "Size": len(_content(part)),
    }


def _content(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    if isinstance(content, bytes):
        return content
    # A forwarded message (message/rfc822) is a part without bytes of its own.
    return b"".join(inner.as_bytes() for inner in part.iter_parts())


def _text(part: EmailMessage) -> str:
    try:
        return _readable(str(part.get_content()))
    except (LookupError, ValueError):  # a character set that Python does not know, or cannot use
        return _content(part).decode("utf-8", "replace")


def _rfc3339(moment: datetime) -> str:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # the first or the last day that there is, in another zone
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat().replace("+00:00", "Z")
