"""What returns is told by its environment, beside what every service is told."""

from common.settings import ServiceSettings
from pydantic import Field


class ReturnsSettings(ServiceSettings):
    # How long after its delivery an order can be returned, the last instant included.
    return_window_days: int = Field(default=30, ge=0)
    # How long a request may wait for the copy of its order to hear of the delivery, and how many may wait at once.
    eligibility_wait_seconds: float = Field(default=2, ge=0)
    eligibility_wait_limit: int = Field(default=200, ge=1)
