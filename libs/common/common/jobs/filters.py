"""Filters of jobs: the same conditions for those that a list shows and those that an operator changes (ADR 44)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.database.tables import jobs
from common.jobs.job import is_in_state
from common.jobs.kinds import all_kinds, failed_states

_CONDITIONS = ("kind", "cause", "business_key", "ids")
# As a text, beside which the other conditions keep their parameters.
_nothing: sa.ColumnElement[bool] = sa.literal_column("false", sa.Boolean)


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Conditions on jobs; None is no condition. `cause` is the stored one, of a failure that the job still has. An
    empty cause is that of a failure that was not classified; a job that never failed does not match it."""

    state: str | None = None
    kind: str | None = None
    cause: str | None = None
    ids: Sequence[UUID] | None = None
    business_key: str | None = None

    @property
    def names(self) -> frozenset[str]:
        """The conditions besides the state."""
        return frozenset(name for name in _CONDITIONS if getattr(self, name) is not None)

    @property
    def parameters(self) -> dict[str, Any]:
        """Those of `conditions(state, names)`."""
        values = {name: getattr(self, name) for name in self.names}
        return values if self.ids is None else {**values, "ids": list(self.ids)}


def conditions(state: str | None, names: Collection[str]) -> list[sa.ColumnElement[bool]]:
    """For a statement of its own for each set of conditions: one that has all of them, as `parameter IS NULL OR …`,
    is planned without the partial indexes, and reads the whole table."""
    found = [] if state is None else [is_in_state(state)]
    if "kind" in names:
        found.append(jobs.c.kind == sa.bindparam("kind", type_=sa.Text))
    if "business_key" in names:
        found += _has_key(knows_kind="kind" in names)
    if "cause" in names:
        found += _has_cause(state)
    if "ids" in names:
        found.append(jobs.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))))
    return found


def _has_cause(state: str | None) -> list[sa.ColumnElement[bool]]:
    """A job that never failed has an empty cause; one that is done keeps that of an earlier failure, without the error.

    Other states are two partial indexes."""
    is_failed = jobs.c.last_error.is_not(None)
    any_state = [sa.or_(failed_states, is_in_state("discarded"))] if state is None else []
    nothing = [_nothing] if state == "done" else []
    return [jobs.c.cause == sa.bindparam("cause", type_=sa.Text), is_failed, *any_state, *nothing]


def _has_key(*, knows_kind: bool) -> list[sa.ColumnElement[bool]]:
    """The unique index has the kind before the key: one look per kind."""
    is_of_key = jobs.c.business_key == sa.bindparam("business_key", type_=sa.Text)
    return [is_of_key] if knows_kind else [jobs.c.kind.in_(sa.select(all_kinds("kinds").c.kind)), is_of_key]
