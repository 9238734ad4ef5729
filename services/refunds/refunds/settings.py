"""The settings of refunds, in addition to those of every service."""

from typing import Literal

from common.setting_types import WebAddress
from common.settings import MailSettings
from pydantic import Field, SecretStr


class RefundsSettings(MailSettings):
    payment_gateway: Literal["stripe", "adyen"] = "stripe"
    # The provider's API, or a server with the refund part of it (deploy/sandbox).
    payment_gateway_url: WebAddress = "https://api.stripe.com"
    payment_gateway_key: SecretStr = Field(default=SecretStr(""))
    # Two calls must take less time than a job's lease.
    payment_gateway_timeout_seconds: float = Field(default=8, gt=0)
    # The most calls at the same time, of one worker.
    payment_gateway_concurrency: int = Field(default=8, ge=1, le=100)
    # Between two sweeps of the provider's events.
    payment_sweep_seconds: float = Field(default=60, gt=0)
    # Of the provider's events that were applied.
    provider_event_retention_days: float = Field(default=120, gt=0)
    # With which the provider signs its webhooks; Adyen's is hexadecimal.
    payment_webhook_secret: SecretStr = Field(default=SecretStr(""))
    # Adyen's name of the seller.
    payment_merchant_account: str = "ArtiCurated"

    mail_sender: str = "ArtiCurated <refunds@articurated.example>"
