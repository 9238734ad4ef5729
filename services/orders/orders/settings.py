"""The settings of orders, in addition to those of every service."""

from common.setting_types import WebAddress
from common.settings import ServiceSettings
from pydantic import Field, SecretStr


class OrdersSettings(ServiceSettings):
    # The address of invoicing for clients, with which the links to documents begin.
    invoice_download_url: WebAddress = "http://127.0.0.1:8003"
    invoice_link_minutes: float = Field(default=15, gt=0)
    # Where the other services' timelines are asked for, to explain an order, and how long it may take.
    returns_url: WebAddress = "http://127.0.0.1:8002"
    invoicing_url: WebAddress = "http://127.0.0.1:8003"
    refunds_url: WebAddress = "http://127.0.0.1:8004"
    explain_timeout_seconds: float = Field(default=2, gt=0)
    # With which the command `explain` asks them; the route uses the caller's own.
    explain_api_key: SecretStr = Field(default=SecretStr(""))
    # After these times without a result, the reconciler asks for it: longer than all retries of an invoice or a refund.
    invoice_limit_minutes: float = Field(default=12, gt=0)
    refund_limit_minutes: float = Field(default=120, gt=0)
