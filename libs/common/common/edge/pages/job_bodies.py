"""Bodies of the operators' routes that change work."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, WithJsonSchema, model_validator

from common.edge.requests.fields import ExactNumber, Line, RequestBody
from common.jobs.control import MOST_JOBS
from common.jobs.filters import JobFilter
from common.text.causes import stored_cause

_WHICH = ("filter", "selection")
_Pace = Annotated[
    ExactNumber,
    Field(ge=Decimal("0.01"), le=1000),
    WithJsonSchema({"type": "number", "minimum": 0.01, "maximum": 1000}),
]
_ReasonText = Annotated[Line, Field(max_length=500)]


class Reason(RequestBody):
    reason: _ReasonText


class _Filter(RequestBody):
    """Conditions on jobs in one state, at least one besides the state."""

    kind: Line | None = Field(default=None, max_length=100)
    cause: Line | None = Field(default=None, max_length=500)
    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=MOST_JOBS)

    @model_validator(mode="after")
    def _has_a_condition(self) -> "_Filter":
        self.require_one_of("kind", "cause", "ids")
        return self

    def in_state(self, state: str) -> JobFilter:
        cause = None if self.cause is None else stored_cause(self.cause)
        return JobFilter(state, self.kind, cause, self.ids)


class ReplayFilter(_Filter):
    """Conditions on dead or discarded jobs, at least one of `kind`, `cause` and `ids`."""

    state: Literal["dead", "discarded"] = "dead"

    def to_domain(self) -> JobFilter:
        return self.in_state(self.state)


class DiscardFilter(_Filter):
    """Conditions on dead or waiting jobs, at least one of `kind`, `cause` and `ids`."""

    state: Literal["dead", "ready"] = "dead"

    def to_domain(self) -> JobFilter:
        return self.in_state(self.state)


class _Change(RequestBody):
    """The jobs are named by either a `filter` or a `selection`, which a dry run has given. A dry run needs no
    `reason`."""

    selection: Line | None = Field(default=None, max_length=100)
    dry_run: bool = Field(default=False, strict=True)
    reason: _ReasonText | None = None

    @model_validator(mode="after")
    def _names_the_jobs_once(self) -> "_Change":
        self.refuse(self._misfits())
        return self

    def _misfits(self) -> Iterator[tuple[tuple[str], str]]:
        if len([name for name in _WHICH if getattr(self, name) is not None]) != 1:
            yield ("filter",), "either a filter or a selection must be given"
        elif self.dry_run and self.selection is not None:
            yield ("dry_run",), "goes with a filter only"
        if self.reason is None and not self.dry_run:
            yield ("reason",), "must be given, unless it is a dry run"

    @property
    def given_reason(self) -> str:
        return self.reason or ""


class JobsReplay(_Change):
    """The jobs to replay: either a `filter` or the `selection` of a dry run. A dry run needs no `reason`."""

    filter: ReplayFilter | None = None
    per_second: _Pace | None = None


class JobsDiscard(_Change):
    """The jobs to discard: either a `filter` or the `selection` of a dry run. A dry run needs no `reason`."""

    filter: DiscardFilter | None = None
