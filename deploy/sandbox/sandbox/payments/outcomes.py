"""The outcome of a refund at a provider: its first status and its later changes, which a fault may determine."""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.faults import Fault, Mode

OUTCOME_FAULTS = {
    "pending": Mode(optional=frozenset({"then", "delay_seconds"})),
    "reversed": Mode(optional=frozenset({"delay_seconds"})),
}
# The delay of the result at a provider that always answers `pending`.
RESULT_SECONDS = 0.05
DECLINED = "declined"


@dataclass(frozen=True)
class Change:
    after_seconds: float
    status: str
    reason: str | None = None


@dataclass(frozen=True)
class Outcome:
    status: str
    later: Sequence[Change] = ()


def outcome_of(first_status: str, fault: Fault | None, failure: str | None = None) -> Outcome:
    """`failure` is the reason for which the refund fails later, where the first status is always `pending`."""
    mode = fault.mode if fault is not None else None
    delay = (fault.delay_seconds if fault is not None else None) or RESULT_SECONDS
    if mode == "pending" and fault is not None:
        return Outcome("pending", [_result(delay, fault.then)] if fault.then else [])
    if failure is not None:
        return Outcome("pending", [Change(RESULT_SECONDS, "failed", failure)])
    is_pending = first_status == "pending"
    changes = [Change(RESULT_SECONDS, "succeeded")] if is_pending else []
    if mode == "reversed":
        changes.append(Change(delay + (RESULT_SECONDS if is_pending else 0), "failed", "lost_or_stolen_card"))
    return Outcome(first_status, changes)


def _result(delay: float, status: str) -> Change:
    return Change(delay, status, DECLINED if status == "failed" else None)
