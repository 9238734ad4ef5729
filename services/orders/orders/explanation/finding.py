"""A finding: one reason why an order is where it is, with the next step, the remedy, and requests that help."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from common.access.auth import Role
from common.money import format_amount

WAREHOUSE = (Role.WAREHOUSE, Role.MANAGER, Role.OPS)
PAYMENTS = (Role.PAYMENTS, Role.MANAGER, Role.OPS)
MANAGERS = (Role.MANAGER, Role.OPS)
OPERATORS = (Role.OPS,)
_TWO_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")


class Severity(StrEnum):
    """In their order of importance."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class State(StrEnum):
    """What a finding makes of the order, the strongest first."""

    STUCK = "stuck"
    UNKNOWN = "unknown"
    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Action:
    """A request that helps. `body` is None where there is none, or a person has to fill it in."""

    label: str
    method: Literal["POST", "PATCH", "GET"]
    service: str
    path: str
    roles: tuple[Role, ...]
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """`next` is what happens by itself, at `next_at` where that is known; `remedy` is what a person can do."""

    cause: str
    severity: Severity
    state: State
    service: str
    headline: str
    next: str
    since: datetime | None = None
    next_at: datetime | None = None
    remedy: str | None = None
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        # An error or a reason at the end of a sentence may have a full stop of its own.
        object.__setattr__(self, "headline", _TWO_STOPS.sub(".", self.headline))


def most_important_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings of one severity, in the sequence in which they were found."""
    order = list(Severity)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def money(amount: Decimal, currency: str) -> str:
    """`1,234.50 EUR`"""
    return f"{format_amount(amount, currency)} {currency}"


def clock(time: datetime) -> str:
    """`2026-11-30 16:20:54 UTC`"""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def replay_job(service: str, job_id: UUID) -> Action:
    return Action("Replay the job", "POST", service, f"/api/v1/ops/jobs/{job_id}/replay", OPERATORS)


def show_job(service: str, job_id: UUID) -> Action:
    return Action("Show the job", "GET", service, f"/api/v1/ops/jobs/{job_id}", OPERATORS)
