"""A stored message in the JSON format of Mailpit's API (https://mailpit.axllent.org/docs/api-v1/)."""

import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.headerregistry import AddressHeader, DateHeader
from email.message import EmailMessage
from typing import Any

from sandbox.mailbox import mime
from sandbox.mailbox.store import arrival_time

SNIPPET_LENGTH = 250
MAX_MULTIPARTS = 50
CONTENT_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


def read_message(message_id: str, raw: bytes) -> "StoredMessage":
    """Parse any bytes. A message that Python's parser rejects is shown as its source, in one text."""
    try:
        if raw.lower().count(b"boundary=") > MAX_MULTIPARTS:
            raise ValueError("each level of nesting takes 5 ms, during which no other request is served")
        message = StoredMessage(message_id, raw)
        message.document()  # fails here, not when the message is shown
        return message
    except Exception:  # the parser raises errors of any type
        source = b"Subject: (this message cannot be parsed)\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + raw
        return StoredMessage(message_id, source)


class StoredMessage:
    """A parsed message. All its texts can be encoded as UTF-8."""

    def __init__(self, message_id: str, raw: bytes) -> None:
        self._id = message_id
        self._size = len(raw)
        self._message = message_from_bytes(raw, policy=policy.default)
        self._parts = dict(mime.leaf_parts(self._message))
        self._attachments = {part_id: part for part_id, part in self._parts.items() if mime.is_attachment(part)}
        self.text = self._body("text/plain")
        self._html = self._body("text/html")
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
        attachments = [(mime.is_inline(part), _describe(part_id, part)) for part_id, part in self._attachments.items()]
        return self._head | {
            "ReturnPath": self._header("Return-Path").strip("<>"),
            "Date": _rfc3339(self._date()),
            "Text": self.text,
            "HTML": self._html,
            "Inline": [description for is_inline, description in attachments if is_inline],
            "Attachments": [description for is_inline, description in attachments if not is_inline],
        }

    def part(self, part_id: str) -> tuple[str, bytes]:
        """Content type and bytes. Raises KeyError for an unknown part."""
        part = self._parts[part_id]
        content_type = part.get_content_type()
        return content_type if CONTENT_TYPE.fullmatch(content_type) else "application/octet-stream", mime.content(part)

    def _body(self, content_type: str) -> str:
        bodies = [part for part_id, part in self._parts.items() if part_id not in self._attachments]
        return "\n".join(mime.text(part) for part in bodies if part.get_content_type() == content_type)

    def _read_head(self) -> dict[str, Any]:
        senders, to, cc = self._addresses("From"), self._addresses("To"), self._addresses("Cc")
        visible = {address["Address"].casefold() for address in [*to, *cc]}
        delivered = self._headers("Delivered-To")
        return {
            "ID": self._id,
            "MessageID": self._header("Message-ID").strip().strip("<>"),
            "From": senders[0] if senders else None,
            "To": to,
            "Cc": cc,
            "Bcc": [{"Name": "", "Address": address} for address in delivered if address.casefold() not in visible],
            "ReplyTo": self._addresses("Reply-To"),
            "Subject": self._header("Subject"),
            "Username": "",
            "Tags": [],
            "Size": self._size,
        }

    def _headers(self, name: str) -> list[str]:
        return [mime.readable(str(value)) for value in mime.headers(self._message, name)]

    def _header(self, name: str) -> str:
        return next(iter(self._headers(name)), "")

    def _addresses(self, name: str) -> list[dict[str, str]]:
        addresses: list[dict[str, str]] = []
        for value in mime.headers(self._message, name):
            if isinstance(value, AddressHeader):
                addresses += [_person(each.display_name, each.addr_spec) for each in value.addresses]
            else:
                addresses.append(_person("", str(value)))
        return addresses

    def _date(self) -> datetime:
        for value in mime.headers(self._message, "Date"):
            if isinstance(value, DateHeader) and value.datetime is not None:
                date: datetime = value.datetime
                return date if date.tzinfo else date.replace(tzinfo=UTC)
        return arrival_time(self._id)


def _person(name: str, address: str) -> dict[str, str]:
    return {"Name": mime.readable(name), "Address": mime.readable(address)}


def _describe(part_id: str, part: EmailMessage) -> dict[str, Any]:
    return {
        "PartID": part_id,
        "FileName": mime.readable(part.get_filename() or ""),
        "ContentType": mime.readable(part.get_content_type()),
        "ContentID": mime.readable(next((str(value) for value in mime.headers(part, "Content-ID")), "")).strip("<>"),
        "Size": len(mime.content(part)),
    }


def _rfc3339(moment: datetime) -> str:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:  # the first or the last day of datetime, in another time zone
        moment = moment.replace(tzinfo=UTC)
    return moment.isoformat().replace("+00:00", "Z")
