"""Checks of every service on the common tables: old and parked events, poison records, stuck jobs (ADR 40)."""

from collections.abc import Sequence

import sqlalchemy as sa

from common.database.statements import prepare
from common.database.tables import jobs, outbox, outbox_parked, outbox_pending, paused_kinds, poison
from common.reconciliation.check import Check, QueryCheck

_most = sa.bindparam("most", type_=sa.Integer)
_a_minute_ago = sa.func.now() - sa.text("interval '1 minute'")


def _state(column: sa.Column[str], name: str) -> sa.ColumnElement[bool]:
    """The state as a literal, so that the planner uses the partial indexes."""
    return column == sa.literal(name, literal_execute=True)


_is_behind_parked = sa.exists().where(
    outbox_parked.c.topic == outbox.c.topic,
    outbox_parked.c.key == outbox.c.key,
    outbox_parked.c.position < outbox.c.position,
)
# One finding per topic: while Kafka is down, each event would be one, and with it the event that reports it.
_OLD = prepare(
    sa.select(
        outbox.c.topic.label("subject"),
        sa.func.count().label("events"),
        sa.func.min(outbox.c.created_at).label("oldest"),
    )
    .join(outbox_pending, outbox_pending.c.position == outbox.c.position)
    .where(outbox.c.created_at < _a_minute_ago, ~_is_behind_parked)
    .group_by(outbox.c.topic)
    .limit(_most)
)
_PARKED = prepare(
    sa.select(
        outbox.c.id.label("subject"), outbox.c.key, outbox.c.type, outbox_parked.c.position, outbox_parked.c.error
    )
    .join(outbox, outbox.c.position == outbox_parked.c.position)
    .order_by(outbox_parked.c.position)
    .limit(_most)
)
_POISON = prepare(
    sa.select(poison.c.id.label("subject"), poison.c.topic, poison.c.partition, poison.c.offset, poison.c.error)
    .where(_state(poison.c.state, "kept"), poison.c.created_at < _a_minute_ago)
    .order_by(poison.c.created_at)
    .limit(_most)
)
_ABANDONED = prepare(
    sa.select(jobs.c.id.label("subject"), jobs.c.kind, jobs.c.business_key, jobs.c.leased_until, jobs.c.attempts)
    .where(_state(jobs.c.state, "running"), jobs.c.leased_until < _a_minute_ago)
    .order_by(jobs.c.leased_until)
    .limit(_most)
)
# A backlog that a worker works on has running jobs, or some that were done or tried just now: only a kind that nobody
# works on is overdue. Of a kind that waits for an outside system, a few are tried again and again.
_worked_on = sa.select(jobs.c.kind).where(
    sa.or_(
        sa.and_(_state(jobs.c.state, "running"), jobs.c.leased_until > sa.func.now()),
        sa.and_(_state(jobs.c.state, "done"), jobs.c.finished_at > _a_minute_ago),
        sa.and_(
            _state(jobs.c.state, "ready"),
            jobs.c.attempts > 0,
            jobs.c.due_at.between(_a_minute_ago, sa.func.now() + sa.text("interval '2 minutes'")),
        ),
    )
)
_OVERDUE = prepare(
    sa.select(jobs.c.kind.label("subject"), sa.func.count().label("jobs"), sa.func.min(jobs.c.due_at).label("oldest"))
    .where(
        _state(jobs.c.state, "ready"),
        jobs.c.due_at < _a_minute_ago,
        jobs.c.kind.not_in(_worked_on),
        # Of those, an operator and the alert JobsPausedLong know.
        ~sa.exists().where(paused_kinds.c.kind == jobs.c.kind),
    )
    .group_by(jobs.c.kind)
    .limit(_most)
)


def table_checks() -> Sequence[Check]:
    return [
        QueryCheck("outbox_old", _OLD, volatile=["events"]),
        QueryCheck("event_parked", _PARKED),
        QueryCheck("poison_kept", _POISON),
        QueryCheck("job_abandoned", _ABANDONED),
        QueryCheck("jobs_overdue", _OVERDUE, volatile=["jobs"]),
    ]
