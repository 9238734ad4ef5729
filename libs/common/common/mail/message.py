"""An e-mail as a service describes it, and the bytes that are sent for it (RFC 5322).

The headers are formatted here so that their readers decode exactly the given text. The header classes of Python's
`email` package parse a value before they format it: what looks like an encoded word (RFC 2047), a quoted string or a
list of addresses in somebody's text would become one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import policy
from email.header import Header
from email.message import EmailMessage
from email.utils import format_datetime

from common.errors import PermanentFailure
from common.text.email_address import CONTROL_CHARACTER, Mailbox, NotAnEmailAddress, parse_email_address

_MESSAGE_KEY = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
# Without 8-bit parts, so that no server on the way has to convert the message.
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")
_LONGEST_LINE = 76
_ASCII_LINE = re.compile(r"(?! )[ -~]*(?<! )")
_WORDS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_QUOTED_CHARACTER = re.compile(r'(["\\])')


@dataclass(frozen=True, slots=True)
class Mail:
    """`message_key` identifies the message, so that all its copies have the same Message-ID: `receipt-2026-000001`.
    `html` is the same text as `text` in HTML; `documents` are PDF files by name."""

    to: str
    subject: str
    text: str
    message_key: str
    documents: Mapping[str, bytes] = field(default_factory=dict)
    html: str | None = None


class MailRefused(ValueError):
    """No later attempt can succeed: an invalid address or header, or a permanent error of the mail server (5xx).
    The message contains no address."""


class UnusableAddress(MailRefused, PermanentFailure):
    """The recipient's address is invalid, so no server is contacted and a job fails permanently: the address was stored
    before the rule for addresses, for example. The message contains no address."""


def recipient_of(mail: Mail) -> str:
    """The address to send to. Raises `UnusableAddress`."""
    if CONTROL_CHARACTER.search(mail.to):
        raise UnusableAddress("the address has control characters")
    try:
        return parse_email_address(mail.to)
    except NotAnEmailAddress:
        raise UnusableAddress("the address is malformed") from None


def compose(mail: Mail, sender: Mailbox, recipient: str) -> bytes:
    """Raises `MailRefused` for control characters in a header: they could begin another header."""
    if CONTROL_CHARACTER.search(mail.subject):
        raise MailRefused("the subject has control characters")
    if not _MESSAGE_KEY.fullmatch(mail.message_key):
        raise MailRefused("the message key has other characters than a Message-ID")
    headers = (
        mailbox_header("From", sender),
        mailbox_header("To", Mailbox("", recipient)),
        text_header("Subject", mail.subject),
        f"Date: {format_datetime(datetime.now(UTC))}\r\n",
        f"Message-ID: <{mail.message_key}@{sender.address.rpartition('@')[2]}>\r\n",
    )
    return "".join(headers).encode("ascii") + _body(mail).as_bytes()


def _body(mail: Mail) -> EmailMessage:
    """The texts and attachments, with the headers that describe them."""
    body = EmailMessage(policy=_SEVEN_BIT)
    body.set_content(mail.text)
    if mail.html is not None:
        body.add_alternative(mail.html, subtype="html")
    for name, content in mail.documents.items():
        if CONTROL_CHARACTER.search(name) or "=?" in name:
            raise MailRefused("an attachment's name has control characters or encoded words")
        body.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    return body


def text_header(name: str, text: str) -> str:
    """A header whose value is a text, such as the subject. Raises `ValueError` for control characters."""
    return f"{name}: {_unencoded(name, text) or _encoded(name, text)}\r\n"


def mailbox_header(name: str, mailbox: Mailbox) -> str:
    """A header whose value is one address and its name. Raises `ValueError` for control characters."""
    if not mailbox.name:
        return f"{name}: {mailbox.address}\r\n"
    display_name = _unencoded(name, mailbox.name)
    if display_name is None:
        display_name = _encoded(name, mailbox.name)
    elif not _WORDS.fullmatch(display_name):
        display_name = '"' + _QUOTED_CHARACTER.sub(r"\\\1", display_name) + '"'
    return f"{name}: {display_name}\r\n <{mailbox.address}>\r\n"


def _unencoded(name: str, text: str) -> str | None:
    """The text if no reader can decode it as anything else (quotes apart), or None."""
    if CONTROL_CHARACTER.search(text):
        raise ValueError(f"the header {name} has control characters")
    fits = len(name) + len(text) + 2 <= _LONGEST_LINE
    return text if fits and "=?" not in text and _ASCII_LINE.fullmatch(text) else None


def _encoded(name: str, text: str) -> str:
    """The text as encoded words, one per line."""
    return Header(text, "utf-8", maxlinelen=_LONGEST_LINE, header_name=name).encode(linesep="\r\n")
