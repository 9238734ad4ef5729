"""The SMTP client: sends one e-mail over one connection (RFC 5321)."""

from typing import TYPE_CHECKING

import aiosmtplib

from common.mail.message import Mail, MailRefused, compose, recipient_of
from common.settings import ServiceSettings
from common.telemetry.tracing import outside_call
from common.text.email_address import parse_mailbox

if TYPE_CHECKING:
    from common.telemetry.spans import Attributes


class MailNotSent(Exception):
    """The server could not be reached or answered with a temporary error (4xx); a later attempt may succeed.
    The message contains no address."""


class Mailer:
    """Sends e-mails through the SMTP server of the settings.

    The server receives addresses exactly as `parse_email_address` returns them: the envelope is not read from the
    headers. STARTTLS (RFC 3207) is required with a login, so that a password is never sent unencrypted.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._sender = parse_mailbox(settings.mail_sender)

    async def send(self, mail: Mail) -> None:
        """Raises `MailNotSent` or `MailRefused`. After a broken connection the message may have been delivered."""
        recipient = recipient_of(mail)
        message = compose(mail, self._sender, recipient)
        settings = self._settings
        server = f"{settings.smtp_host}:{settings.smtp_port}"
        username = settings.smtp_username or None
        where: Attributes = {
            "network.protocol.name": "smtp",
            "server.address": settings.smtp_host,
            "server.port": settings.smtp_port,
        }
        try:
            with outside_call("SMTP", where):
                await aiosmtplib.send(
                    message,
                    sender=self._sender.address,
                    recipients=[recipient],
                    hostname=settings.smtp_host,
                    port=settings.smtp_port,
                    username=username,
                    password=settings.smtp_password.get_secret_value() if username else None,
                    use_tls=settings.smtp_implicit_tls,
                    start_tls=True if username and not settings.smtp_implicit_tls else None,
                    timeout=settings.smtp_timeout_seconds,
                )
        except aiosmtplib.SMTPAuthenticationError as error:
            # An operator can correct the login, so the failure is not permanent.
            raise MailNotSent(f"{server} refused the login with {error.code}") from None
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise _refusal(max(each.code for each in error.recipients)) from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refusal(error.code) from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailNotSent(f"{type(error).__name__} at {server}") from None


def _refusal(code: int) -> Exception:
    """4xx is temporary, 5xx permanent (RFC 5321, 4.2.1)."""
    if code >= 500:
        return MailRefused(f"the mail server refused the message with {code}")
    return MailNotSent(f"the mail server answered {code}")
