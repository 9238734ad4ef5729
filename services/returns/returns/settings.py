"""The settings of returns, in addition to those of every service."""

from common.settings import ServiceSettings
from pydantic import Field


class ReturnsSettings(ServiceSettings):
    # The period after its delivery in which an order can be returned, including its last instant.
    return_window_days: int = Field(default=30, ge=0)
    # How long a request may wait until the copy of its order is delivered too, and how many may wait at once.
    eligibility_wait_seconds: float = Field(default=2, ge=0)
    eligibility_wait_limit: int = Field(default=200, ge=1)
