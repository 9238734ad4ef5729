"""E-mail over SMTP; a message sent twice carries the same Message-ID, so that mail programs can tell."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

import aiosmtplib

from common.email_address import is_email_address

_CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")


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


class Mailer:
    """Opens a connection per message. `timeout` is in seconds, for each step of the conversation.

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
        self._host = host
        self._port = port
        self._sender = sender
        self._username = login[0] if login else None
        self._password = login[1] if login else None
        self._implicit_tls = implicit_tls
        self._start_tls = True if login and not implicit_tls else None
        self._domain = sender.rpartition("@")[2].rstrip(">")
        self._timeout = timeout

    async def send(self, mail: Mail) -> None:
        """Raises `MailNotSent` or `MailRefused`. After a broken connection the message may have arrived."""
        message = self.compose(mail)
        try:
            await aiosmtplib.send(
                message,
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

    def compose(self, mail: Mail) -> EmailMessage:
        """Raises `MailRefused` where a header would hold control characters: those could make headers of their own."""
        for name, value in {"address": mail.to, "subject": mail.subject, "message key": mail.message_key}.items():
            if _CONTROL.search(value):
                raise MailRefused(f"the {name} has control characters")
        if not is_email_address(mail.to):
            raise MailRefused("the address is malformed")
        message = EmailMessage()
        message["From"] = self._sender
        message["To"] = mail.to
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = f"<{mail.message_key}@{self._domain}>"
        message.set_content(mail.text)
        if mail.html is not None:
            message.add_alternative(mail.html, subtype="html")
        for attachment in mail.attachments:
            if _CONTROL.search(attachment.name):
                raise MailRefused("an attachment's name has control characters")
            maintype, _, subtype = attachment.media_type.partition("/")
            message.add_attachment(attachment.content, maintype=maintype, subtype=subtype, filename=attachment.name)
        return message

    def _refusal(self, code: int) -> Exception:
        """4xx is for now, 5xx for good (RFC 5321, 4.2.1)."""
        if code >= 500:
            return MailRefused(f"the mail server refused the message with {code}")
        return MailNotSent(f"the mail server answered {code}")
