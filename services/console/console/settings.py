"""Settings of the console."""

from base64 import b64decode
from typing import Annotated, Literal, Self

from common.setting_types import Host, WebAddress
from common.settings import ProcessSettings
from pydantic import AfterValidator, Field, SecretStr, TypeAdapter, model_validator

_WEB_ADDRESS: TypeAdapter[str] = TypeAdapter(WebAddress)


def parse_roles(text: str) -> list[tuple[str, str]]:
    """`orders-api=http://orders-api:8000,…`: the name of each role with its address. Raises `ValueError`."""
    roles = []
    for each in filter(None, map(str.strip, text.split(","))):
        name, separator, address = each.partition("=")
        if not separator or not name.strip():
            raise ValueError("must be name=address, separated by commas, such as orders-api=http://127.0.0.1:8001")
        roles.append((name.strip(), _WEB_ADDRESS.validate_python(address.strip())))
    return roles


def _roles(text: str) -> str:
    return ",".join(f"{name}={address}" for name, address in parse_roles(text))


def _seal(key: SecretStr) -> SecretStr:
    try:
        if len(b64decode(key.get_secret_value(), validate=True)) == 32:
            return key
    except ValueError:
        pass
    raise ValueError("must be 32 bytes in base64, such as the output of openssl rand -base64 32")


def _trace_template(text: str) -> str:
    _WEB_ADDRESS.validate_python(text.replace("{trace_id}", "0"))
    if "{trace_id}" not in text:
        raise ValueError("must contain {trace_id}")
    return text


class ConsoleSettings(ProcessSettings):
    orders_url: WebAddress
    returns_url: WebAddress
    invoicing_url: WebAddress
    refunds_url: WebAddress
    # Every role of every service, for its health and its metrics: name=address, separated by commas.
    role_addresses: Annotated[str, AfterValidator(_roles)] = ""
    # The address from which the services are called, so that they can trust it (TRUSTED_PROXIES).
    source_address: Host | None = None

    # 32 random bytes in base64, with which the cookies are encrypted. All processes of the console have the same.
    session_key: Annotated[SecretStr, AfterValidator(_seal)]
    # After this time a person has to log in again.
    session_hours: float = Field(default=8, gt=0, le=168)
    # The address of the console in a browser, where it is not that of the request, and for OIDC always.
    public_url: WebAddress | None = None

    # The page of one trace, with {trace_id}; without it, steps have no link.
    trace_url_template: Annotated[str, AfterValidator(_trace_template)] | None = None
    # Where the alerts that fire are read from; Prometheus knows pending ones too.
    prometheus_url: WebAddress | None = None
    alertmanager_url: WebAddress | None = None

    # Log-in with an OpenID provider, the issuer of the services' bearer tokens (ADR 29).
    jwt_issuer: str | None = None
    oidc_client_id: str | None = None
    # Empty for a public client, which is protected by PKCE alone.
    oidc_client_secret: SecretStr = Field(default=SecretStr(""))
    oidc_scopes: str = "openid profile"
    # The token that the services accept: its audience is their JWT_AUDIENCE.
    oidc_bearer: Literal["access_token", "id_token"] = "access_token"

    @model_validator(mode="after")
    def _oidc_is_complete(self) -> Self:
        if self.oidc_client_id is not None and (self.jwt_issuer is None or self.public_url is None):
            raise ValueError("OIDC_CLIENT_ID needs JWT_ISSUER and PUBLIC_URL")
        return self
