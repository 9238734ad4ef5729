"""E-mail over SMTP; a message sent twice carries the same Message-ID, so that mail programs can tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from common.jobs.queue import PermanentFailure
from common.mail.address import CONTROL_CHARACTER, Mailbox, NotAnEmailAddress, parse_email_address, parse_mailbox
from common.mail.headers import mailbox_header, text_header

_MESSAGE_KEY = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+")
# Without 8-bit parts, so that no server on the way has to convert anything.
_SEVEN_BIT = policy.SMTP.clone(cte_type="7bit")


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content: bytes
    media_type: str = "application/pdf"


@dataclass(frozen=True, slots=True)
class Mail:
    """`message_key` says which message this is, for ever: `invoice-INV-2026-000001`. `html` says the same as `text`."""

    to: str
    subject: str
    text: str
    message_key: str
    attachments: Sequence[Attachment] = ()
    html: str | None = None


class MailNotSent(Exception):
    """The server could not be reached or refused for now; a later try may succeed. Names no address."""


class MailRefused(ValueError):
    """No later try can succeed: a malformed address or header, or a server that refuses for good. Names no address."""


class UnusableAddress(MailRefused, PermanentFailure):
    """No server would ever be asked (the address was kept before the rule for addresses, for example), so that a job
    fails for good at once. Names no address."""


class Mailer:
    """Opens a connection per message. `timeout` is in seconds, for each step of the conversation.

    `sender` is an address, or a name and an address (`parse_mailbox`). Addresses reach the server exactly as
    `parse_email_address` returns them: the envelope is never read out of the headers.

    `implicit_tls` encrypts from the first byte; otherwise STARTTLS does (RFC 3207), where the server offers it, or, so
    that a `login` (user name and password) never goes out in clear, always.
    """

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        *,
        login: tuple[str, str] | None = None,
        implicit_tls: bool = False,
        timeout: float = 10,
    ) -> None:
        """Raises `NotAnEmailAddress` for the sender."""
        self._host = host
        self._port = port
        self._sender = parse_mailbox(sender)
        self._username = login[0] if login else None
        self._password = login[1] if login else None
        self._implicit_tls = implicit_tls
        self._start_tls = True if login and not implicit_tls else None
        self._timeout = timeout

    async def send(self, mail: Mail) -> None:
        """Raises `MailNotSent` or `MailRefused`. After a broken connection the message may have arrived."""
        recipient = _recipient(mail)
        message = self._compose(mail, recipient)
        try:
            await aiosmtplib.send(
                message,
                sender=self._sender.address,
                recipients=[recipient],
                hostname=self._host,
                port=self._port,
                username=self._username,
                password=self._password,
                use_tls=self._implicit_tls,
                start_tls=self._start_tls,
                timeout=self._timeout,
            )
        except aiosmtplib.SMTPAuthenticationError as error:
            # Somebody can mend that, so it is not for good.
            raise MailNotSent(f"{self._host}:{self._port} refused the login with {error.code}") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._refusal(max(each.code for each in error.recipients)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise self._refusal(error.code) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailNotSent(f"{type(error).__name__} at {self._host}:{self._port}") from None

    def _compose(self, mail: Mail, recipient: str) -> bytes:
        """Raises `MailRefused` where a header would hold control characters: those could make headers of their own."""
        if CONTROL_CHARACTER.search(mail.subject):
            raise MailRefused("the subject has control characters")
        if not _MESSAGE_KEY.fullmatch(mail.message_key):
            raise MailRefused("the message key has other characters than a Message-ID")
        domain = self._sender.address.rpartition("@")[2]
        headers = (
            mailbox_header("From", self._sender),
            mailbox_header("To", Mailbox("", recipient)),
            text_header("Subject", mail.subject),
            f"Date: {format_datetime(datetime.now(UTC))}\r\n",
            f"Message-ID: <{mail.message_key}@{domain}>\r\n",
        )
        return "".join(headers).encode("ascii") + _content(mail).as_bytes()

    def _refusal(self, code: int) -> Exception:
        """4xx is for now, 5xx for good (RFC 5321, 4.2.1)."""
        if code >= 500:
            return MailRefused(f"the mail server refused the message with {code}")
        return MailNotSent(f"the mail server answered {code}")


def _recipient(mail: Mail) -> str:
    if CONTROL_CHARACTER.search(mail.to):
        raise UnusableAddress("the address has control characters")
    try:
        return parse_email_address(mail.to)
    except NotAnEmailAddress:
        raise UnusableAddress("the address is malformed") from None


def _content(mail: Mail) -> EmailMessage:
    """The texts and attachments, with the headers that describe these."""
    content = EmailMessage(policy=_SEVEN_BIT)
    content.set_content(mail.text)
    if mail.html is not None:
        content.add_alternative(mail.html, subtype="html")
    for attachment in mail.attachments:
        if CONTROL_CHARACTER.search(attachment.name) or "=?" in attachment.name:
            raise MailRefused("an attachment's name has control characters or encoded words")
        maintype, _, subtype = attachment.media_type.partition("/")
        content.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=attachment.name)
    return content
