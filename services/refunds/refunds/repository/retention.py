"""Which rows of refunds are deleted when their retention is over."""

from datetime import timedelta

from common.database.tables import jobs
from sqlalchemy import ColumnElement, Table, exists, func, literal

from refunds.tables import provider_events


def expired_events(days: float, job_kind: str) -> tuple[Table, ColumnElement[bool]]:
    """The provider's events that are older, except those that a job may still apply: also one that is dead or discarded
    can be replayed."""
    is_needed = exists().where(
        jobs.c.kind == literal(job_kind, literal_execute=True),
        jobs.c.state != literal("done", literal_execute=True),
        jobs.c.payload["provider"].astext == provider_events.c.provider,
        jobs.c.payload["event_id"].astext == provider_events.c.event_id,
    )
    return provider_events, (provider_events.c.received_at < func.now() - timedelta(days=days)) & ~is_needed
