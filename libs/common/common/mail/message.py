"""An e-mail as a service describes it, and the bytes that are sent for it (RFC 5322)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from common.errors import PermanentFailure
from common.mail.headers import mailbox_header, text_header
from common.text.email_address import CONTROL_CHARACTER, Mailbox, NotAnEmailAddress, parse_email_address

_MESSAGE_KEY = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
# Without 8-bit parts, so that no server on the way has to convert the message.
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content: bytes
    media_type: str = "application/pdf"


@dataclass(frozen=True, slots=True)
class Mail:
    """`message_key` identifies the message, so that all its copies have the same Message-ID: `receipt-2026-000001`.
    `html` is the same text as `text` in HTML."""

    to: str
    subject: str
    text: str
    message_key: str
    attachments: Sequence[Attachment] = ()
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
    for attachment in mail.attachments:
        if CONTROL_CHARACTER.search(attachment.name) or "=?" in attachment.name:
            raise MailRefused("an attachment's name has control characters or encoded words")
        maintype, _, subtype = attachment.media_type.partition("/")
        body.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=attachment.name)
    return body
