"""A mailer for a mail server of the tests."""

from typing import Any

from common.mail.mailer import Mailer
from common.settings import MailSettings

DSN = "postgresql://ada@127.0.0.1/workshop"


def mailer(port: int, sender: str, host: str = "127.0.0.1", **smtp: Any) -> Mailer:
    """`smtp`: settings without their prefix `smtp_`. Raises `ValueError` for settings that are wrong."""
    settings = {"smtp_host": host, "smtp_port": port, "smtp_timeout_seconds": 2, "mail_sender": sender}
    named = {f"smtp_{name}": value for name, value in smtp.items()}
    return Mailer(MailSettings(database_url=DSN, kafka_bootstrap="127.0.0.1:9092", **{**settings, **named}))
