"""The SMTP client: sends one e-mail over one connection (RFC 5321)."""

from typing import Self

import aiosmtplib

from common.mail.message import Mail, MailRefused, compose, recipient_of
from common.settings import MailSettings
from common.text.email_address import parse_mailbox


class MailNotSent(Exception):
    """The server could not be reached or answered with a temporary error (4xx); a later attempt may succeed.
    The message contains no address."""


class Mailer:
    """Sends e-mails through one SMTP server.

    The server receives addresses exactly as `parse_email_address` returns them: the envelope is not read from the
    headers. The connection is encrypted from the first byte with `implicit_tls`. Otherwise STARTTLS is used (RFC 3207):
    where the server offers it, and always with a `login`, so that a password is never sent unencrypted.
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
        """`sender` is an address, or a name and an address (`parse_mailbox`); `login` a user name and a password;
        `timeout` is in seconds for each SMTP command. Raises `NotAnEmailAddress` for the sender."""
        self._host = host
        self._port = port
        self._sender = parse_mailbox(sender)
        self._username = login[0] if login else None
        self._password = login[1] if login else None
        self._implicit_tls = implicit_tls
        self._start_tls = True if login and not implicit_tls else None
        self._timeout = timeout

    @classmethod
    def from_settings(cls, settings: MailSettings) -> Self:
        return cls(
            settings.smtp_host,
            settings.smtp_port,
            settings.mail_sender,
            login=settings.smtp_login,
            implicit_tls=settings.smtp_implicit_tls,
            timeout=settings.smtp_timeout_seconds,
        )

    async def send(self, mail: Mail) -> None:
        """Raises `MailNotSent` or `MailRefused`. After a broken connection the message may have been delivered."""
        recipient = recipient_of(mail)
        message = compose(mail, self._sender, recipient)
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
            # An operator can correct the login, so the failure is not permanent.
            raise MailNotSent(f"{self._host}:{self._port} refused the login with {error.code}") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal(max(each.code for each in error.recipients)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refusal(error.code) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailNotSent(f"{type(error).__name__} at {self._host}:{self._port}") from None


def _refusal(code: int) -> Exception:
    """4xx is temporary, 5xx permanent (RFC 5321, 4.2.1)."""
    if code >= 500:
        return MailRefused(f"the mail server refused the message with {code}")
    return MailNotSent(f"the mail server answered {code}")
