"""How long a return may wait for a decision, and what happens then (ADR 39)."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Literal


class ReviewStep(StrEnum):
    REMINDER = "REMINDER"
    ESCALATION = "ESCALATION"
    DECISION = "DECISION"


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """The reminder comes after `review_within`, the escalation after the same time again. With a `decision`, the system
    decides after `decide_after`."""

    review_within: timedelta = timedelta(hours=24)
    decision: Literal["none", "approve", "reject"] = "none"
    decide_after: timedelta = timedelta(hours=72)

    @property
    def first_steps(self) -> dict[ReviewStep, timedelta]:
        """What is scheduled when a return is opened."""
        reminder = {ReviewStep.REMINDER: self.review_within}
        return reminder if self.decision == "none" else reminder | {ReviewStep.DECISION: self.decide_after}
