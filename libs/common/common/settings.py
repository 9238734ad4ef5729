"""Settings, read from environment variables: a field's name in upper case is the variable's name."""

from base64 import b64decode
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.setting_types import Brokers, DatabaseUrl, Host, Networks, SigningAlgorithms, WebAddress
from common.text.email_address import parse_email_address, parse_mailbox


class WrongSetting(Exception):
    """A setting that proves to be wrong only in use, such as a port that is taken. `name` is the variable's name."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


def _address(text: str) -> str:
    return parse_email_address(text)


OpsAddress = Annotated[str, AfterValidator(_address)]


def _seed(key: SecretStr) -> SecretStr:
    try:
        if len(b64decode(key.get_secret_value(), validate=True)) in (0, 32):
            return key
    except ValueError:
        pass
    raise ValueError("must be 32 bytes in base64, such as the output of openssl rand -base64 32")


class ProcessSettings(BaseSettings):
    """The settings of every process. Raises `pydantic.ValidationError`, which names the fields but not their values."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    http_host: Host = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    # Proxies whose X-Forwarded-For is trusted: addresses or networks, separated by commas.
    trusted_proxies: Networks = ""
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    # Open connections of clients; above it, those that have waited longest for their client are closed.
    http_max_connections: int = Field(default=2000, ge=1)
    # From the first byte of a request to the end of its head, and from there to the end of its body.
    http_head_seconds: float = Field(default=10, gt=0)
    http_body_seconds: float = Field(default=30, gt=0)
    # From the end of a request's body to the beginning of its response.
    http_request_seconds: float = Field(default=20, gt=0)
    # How long a response may wait for a client that does not read it.
    http_stall_seconds: float = Field(default=20, gt=0)
    # Bytes of all responses that clients have not read; above it, those that have waited longest are closed.
    http_max_unsent_bytes: int = Field(default=64 * 1024 * 1024, ge=1)

    log_format: Literal["json", "pretty", "auto"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # The time limit from SIGTERM to the exit of the process.
    shutdown_seconds: float = Field(default=10, gt=0)


class ServiceSettings(ProcessSettings):
    """The settings of every service."""

    # Both URLs contain a password, so `repr` omits them.
    database_url: DatabaseUrl = Field(repr=False)
    # The login of the tables' owner, which only `migrate` uses; `database_url` if None.
    migration_database_url: DatabaseUrl | None = Field(default=None, repr=False)
    database_pool_size: int = Field(default=10, ge=1, le=200)
    kafka_bootstrap: Brokers

    # Requests in any 60 seconds per API key and process; 0 means no limit.
    rate_limit_per_minute: int = Field(default=100, ge=0)
    # Whether the limit is that of all processes of the service together.
    rate_limit_shared: bool = False
    # The part of the connections to the database that one caller may use at once, of those that others leave.
    caller_connection_share: float = Field(default=0.7, gt=0, le=1)
    # Requests of one caller that may wait for a connection, per process.
    caller_waiting_limit: int = Field(default=300, ge=1)
    # A revoked key is rejected after at most this time.
    api_key_cache_seconds: float = Field(default=5, ge=0)
    # Bearer tokens are accepted if there is an issuer, whose keys are at a URL or in a file (ADR 29).
    jwt_issuer: str | None = None
    jwt_audience: str | None = None
    jwt_jwks_url: WebAddress | None = None
    jwt_jwks_file: Path | None = None
    jwt_algorithms: SigningAlgorithms = "RS256,PS256,ES256,EdDSA"
    # How far the clocks of the provider and of this machine may differ.
    jwt_leeway_seconds: float = Field(default=30, ge=0, le=300)
    # Claims, or paths to them such as realm_access.roles.
    jwt_role_claim: str = "role"
    jwt_customer_claim: str = "customer_id"
    jwt_name_claim: str = "sub"
    # Whether the token of a client must name a customer; if not, one that names none is not bound.
    jwt_customer_required: bool = True
    # The keys are loaded again after the first time, and used at most for the second one while that fails.
    jwt_jwks_cache_seconds: float = Field(default=300, gt=0)
    jwt_jwks_max_age_seconds: float = Field(default=3600, gt=0)
    idempotency_retention_hours: float = Field(default=24, gt=0)
    link_signing_key: SecretStr = Field(default=SecretStr(""))

    # The longest time between two rounds of the sealer, which adds new audit rows to the Merkle log.
    audit_seal_seconds: float = Field(default=10, gt=0)
    # 32 random bytes in base64, from which the Ed25519 key of checkpoints is made. Without it they are not signed.
    audit_signing_key: Annotated[SecretStr, AfterValidator(_seed)] = Field(default=SecretStr(""))
    # Where checkpoints are stored outside the database; without it they are in the database only.
    audit_checkpoint_folder: Path | None = None
    # Between two verifications of the whole audit trail; 0 means only on request.
    audit_verification_hours: float = Field(default=24, ge=0)

    # Who gets the alerts of this service: an address, a webhook that accepts JSON, or both. Without any there are none.
    ops_email: OpsAddress | None = None
    ops_webhook_url: WebAddress | None = None
    smtp_host: Host = "127.0.0.1"
    smtp_port: int = Field(default=1025, ge=1, le=65535)
    # TLS from the first byte (port 465). Otherwise STARTTLS: where the server offers it, and always with a login.
    smtp_implicit_tls: bool = False
    smtp_username: str | None = None
    smtp_password: SecretStr = Field(default=SecretStr(""))
    smtp_timeout_seconds: float = Field(default=8, gt=0)
    mail_sender: str = "ArtiCurated <alerts@articurated.example>"

    # Between two rounds of the reconciler.
    reconcile_seconds: float = Field(default=60, gt=0)

    # The collector of traces, by OTLP over HTTP (ADR 45); without one there are none. OpenTelemetry's SDK reads these
    # variables itself, and the others of the standard.
    otel_exporter_otlp_endpoint: WebAddress | None = None
    otel_exporter_otlp_traces_endpoint: WebAddress | None = None
    otel_sdk_disabled: bool = False

    # The unit of all retry schedules.
    retry_unit_seconds: float = Field(default=60, gt=0)
    job_lease_seconds: float = Field(default=20, gt=0)

    outbox_retention_days: float = Field(default=90, gt=0)
    inbox_retention_days: float = Field(default=120, gt=0)
    # Of jobs that are done, and their attempts; dead jobs are never deleted.
    job_retention_days: float = Field(default=120, gt=0)
    # Of poison records that were replayed; others are never deleted.
    poison_retention_days: float = Field(default=120, gt=0)
    topic_partitions: int = Field(default=12, ge=1)
    topic_retention_days: int = Field(default=90, ge=1)
    topic_replication: int = Field(default=1, ge=1)

    @property
    def exports_traces(self) -> bool:
        collector = self.otel_exporter_otlp_traces_endpoint or self.otel_exporter_otlp_endpoint
        return collector is not None and not self.otel_sdk_disabled

    @field_validator("mail_sender")
    @classmethod
    def _is_mailbox(cls, text: str) -> str:
        parse_mailbox(text)
        return text

    @model_validator(mode="after")
    def _issuer_is_complete(self) -> Self:
        given = [each is not None for each in (self.jwt_issuer, self.jwt_audience)]
        sources = [each is not None for each in (self.jwt_jwks_url, self.jwt_jwks_file)]
        if any((*given, *sources)) and not (all(given) and sum(sources) == 1):
            raise ValueError("JWT_ISSUER needs JWT_AUDIENCE and either JWT_JWKS_URL or JWT_JWKS_FILE")
        return self


class MailSettings(ServiceSettings):
    """The settings of a service that sends e-mails to others than the operators."""

    mail_sender: str
