"""The settings of returns, in addition to those of every service."""

from datetime import timedelta
from typing import Annotated, Literal

from common.settings import OpsAddress, ServiceSettings
from pydantic import AfterValidator, Field

from returns.domain.four_eyes import FourEyes
from returns.domain.review import ReviewPolicy


def _four_eyes(text: str) -> str:
    FourEyes.parse(text)
    return text


class ReturnsSettings(ServiceSettings):
    # The period after its delivery in which an order can be returned, including its last instant.
    return_window_days: int = Field(default=30, ge=0)
    # How long a request may wait until the copy of its order is delivered too, and how many may wait at once.
    eligibility_wait_seconds: float = Field(default=2, ge=0)
    eligibility_wait_limit: int = Field(default=200, ge=1)
    # Above this amount a return needs two approvers: an amount for every currency, amounts of single ones, or both.
    four_eyes_above: Annotated[str, AfterValidator(_four_eyes)] = ""
    # After this time without a result, the reconciler asks for that of a refund: longer than all its retries.
    refund_limit_minutes: float = Field(default=120, gt=0)
    # How long a return may wait for a decision until staff is reminded, and as long again until that is escalated.
    return_review_hours: float = Field(default=24, gt=0)
    # Who is reminded; without it OPS_EMAIL.
    review_email: OpsAddress | None = None
    # What the system decides about a return that nobody has decided about for so long.
    return_auto_decision: Literal["none", "approve", "reject"] = "none"
    return_auto_decision_hours: float = Field(default=72, gt=0)

    @property
    def review_policy(self) -> ReviewPolicy:
        return ReviewPolicy(
            timedelta(hours=self.return_review_hours),
            self.return_auto_decision,
            timedelta(hours=self.return_auto_decision_hours),
        )
