"""Reading a stored message into the JSON shapes of Mailpit's API (https://mailpit.axllent.org/docs/api-v1/)."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from sandbox.mailbox.store import arrival_time

SNIPPET_LENGTH = 250


class StoredMessage:
    def __init__(self, message_id: str, raw: bytes) -> None:
        self._id = message_id
        self._size = len(raw)
        self._message = message_from_bytes(raw, policy=policy.default)
        leaves = list(_leaves(self._message))
        self._attachments = [(part_id, part) for part_id, part in leaves if _is_attachment(part)]
        bodies = [part for _, part in leaves if not _is_attachment(part)]
        self.text = "\n".join(_text(part) for part in bodies if part.get_content_type() == "text/plain")
        self._html = "\n".join(_text(part) for part in bodies if part.get_content_type() == "text/html")

    def summary(self) -> dict[str, Any]:
        """Mailpit's MessageSummary."""
        readable = self.text or re.sub(r"<[^>]*>", " ", self._html)
        return self._head() | {
            "Read": False,
            "Created": _rfc3339(arrival_time(self._id)),
            "Attachments": len(self._attachments),
            "Snippet": " ".join(readable.split())[:SNIPPET_LENGTH],
        }

    def document(self) -> dict[str, Any]:
        """Mailpit's Message."""
        described = [(_is_inline(part), _describe(part_id, part)) for part_id, part in self._attachments]
        return self._head() | {
            "ReturnPath": str(self._message.get("Return-Path", "")).strip("<>"),
            "Date": _rfc3339(self._date()),
            "Text": self.text,
            "HTML": self._html,
            "Inline": [description for inline, description in described if inline],
            "Attachments": [description for inline, description in described if not inline],
        }

    def part(self, part_id: str) -> tuple[str, bytes]:
        """Content type and bytes. Raises KeyError for a part that is not there."""
        part = dict(_leaves(self._message))[part_id]
        return part.get_content_type(), _content(part)

    def _head(self) -> dict[str, Any]:
        senders, to, cc = self._addresses("From"), self._addresses("To"), self._addresses("Cc")
        named = {address["Address"].casefold() for address in [*to, *cc]}
        delivered = [str(recipient) for recipient in self._message.get_all("Delivered-To", [])]
        return {
            "ID": self._id,
            "MessageID": str(self._message.get("Message-ID", "")).strip().strip("<>"),
            "From": senders[0] if senders else None,
            "To": to,
            "Cc": cc,
            "Bcc": [{"Name": "", "Address": address} for address in delivered if address.casefold() not in named],
            "ReplyTo": self._addresses("Reply-To"),
            "Subject": str(self._message.get("Subject", "")),
            "Username": "",
            "Tags": [],
            "Size": self._size,
        }

    def _addresses(self, header: str) -> list[dict[str, str]]:
        found = [address for value in self._message.get_all(header, []) for address in value.addresses]
        return [{"Name": address.display_name, "Address": address.addr_spec} for address in found]

    def _date(self) -> datetime:
        header = self._message.get("Date")
        date: datetime | None = header.datetime if header else None
        if date is None:
            return arrival_time(self._id)
        return date if date.tzinfo else date.replace(tzinfo=UTC)


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
        "FileName": part.get_filename() or "",
        "ContentType": part.get_content_type(),
        "ContentID": str(part.get("Content-ID", "")).strip("<>"),
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
        return str(part.get_content())
    except LookupError:  # a character set that Python does not know
        return _content(part).decode("utf-8", "replace")


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
