"""Settings of the origin."""

from pathlib import Path

from common.setting_types import Host, WebAddress
from common.settings import ProcessSettings


class OriginSettings(ProcessSettings):
    orders_url: WebAddress
    returns_url: WebAddress
    # The OpenAPI document of both gateways, as YAML; without it there is no /openapi.json.
    openapi_file: Path | None = None
    # The address from which the services are called, so that they can trust it (TRUSTED_PROXIES).
    source_address: Host | None = None
