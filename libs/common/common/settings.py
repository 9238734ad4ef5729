"""What a service is told by its environment; a field's name in upper case is the variable's name."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.setting_types import Brokers, DatabaseUrl, Host, MailboxText, Networks


class WrongSetting(Exception):
    """A setting that only trying it out shows to be wrong: `name` is the variable's, `problem` what is wrong."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class ServiceSettings(BaseSettings):
    """Settings that every service has. Raises `pydantic.ValidationError` naming what is missing or malformed."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    # Both hold a password, and so stay out of what is printed.
    database_url: DatabaseUrl = Field(repr=False)
    # The owner's login, which only `migrate` uses; without one the application's login is taken.
    migration_database_url: DatabaseUrl | None = Field(default=None, repr=False)
    database_pool_size: int = Field(default=10, ge=1, le=200)
    kafka_bootstrap: Brokers

    http_host: Host = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    # Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas.
    trusted_proxies: Networks = ""
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    # Connections that clients may have open; beyond, those that wait longest for their client are closed.
    http_max_connections: int = Field(default=2000, ge=1)
    # From a request's first byte to the end of its head, and from there to the end of its body.
    http_head_seconds: float = Field(default=10, gt=0)
    http_body_seconds: float = Field(default=30, gt=0)
    # How long an answer may wait for a client that does not read it.
    http_stall_seconds: float = Field(default=20, gt=0)
    # Of all answers together that clients have not read yet; beyond, those that wait longest are cut off.
    http_max_unsent_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    # Requests in any 60 seconds per API key and process; 0 is no limit.
    rate_limit_per_minute: int = Field(default=100, ge=0)
    # A revoked key is refused at the latest this many seconds later.
    api_key_cache_seconds: float = Field(default=5, ge=0)
    idempotency_retention_hours: float = Field(default=24, gt=0)
    link_signing_key: SecretStr = Field(default=SecretStr(""))

    # One unit of every retry schedule, in seconds.
    retry_unit_seconds: float = Field(default=60, gt=0)
    job_lease_seconds: float = Field(default=20, gt=0)

    outbox_retention_days: float = Field(default=90, gt=0)
    inbox_retention_days: float = Field(default=120, gt=0)
    # Of jobs that are done, with their attempts; dead ones stay.
    job_retention_days: float = Field(default=120, gt=0)
    # Of records that were replayed; those that were not stay.
    poison_retention_days: float = Field(default=120, gt=0)
    topic_partitions: int = Field(default=12, ge=1)
    topic_retention_days: int = Field(default=90, ge=1)
    topic_replication: int = Field(default=1, ge=1)

    log_format: Literal["json", "pretty", "auto"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # SIGTERM to the end of the process, at most.
    shutdown_seconds: float = Field(default=10, gt=0)

    @property
    def owner_database_url(self) -> str:
        """The login that migrations run with."""
        return self.migration_database_url or self.database_url


class MailSettings(ServiceSettings):
    """Of a service that writes e-mails."""

    smtp_host: Host = "127.0.0.1"
    smtp_port: int = Field(default=1025, ge=1, le=65535)
    # TLS from the first byte (port 465). Otherwise STARTTLS where the server offers it; with a login always.
    smtp_implicit_tls: bool = False
    smtp_username: str | None = None
    smtp_password: SecretStr = Field(default=SecretStr(""))
    smtp_timeout_seconds: float = Field(default=8, gt=0)
    mail_sender: MailboxText

    @property
    def smtp_login(self) -> tuple[str, str] | None:
        """User name and password, where the mail server asks for them."""
        return (self.smtp_username, self.smtp_password.get_secret_value()) if self.smtp_username else None
