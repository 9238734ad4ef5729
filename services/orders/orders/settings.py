"""What orders is told by its environment, beside what every service is told."""

from common.setting_types import WebAddress
from common.settings import ServiceSettings
from pydantic import Field


class OrdersSettings(ServiceSettings):
    # Where clients reach invoicing: the links to documents begin with it.
    invoice_download_url: WebAddress = "http://127.0.0.1:8003"
    invoice_link_minutes: float = Field(default=15, gt=0)
