"""The job queue: jobs and their attempts."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from common.database.tables.columns import infrastructure, instant

jobs = Table(
    "jobs",
    infrastructure,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("business_key", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'ready'")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Attempts during which the worker died or stopped renewing its lease.
    Column("abandoned", Integer, nullable=False, server_default=text("0")),
    # Attempts that a failure of the database ended; they are not failures of the job.
    Column("set_backs", Integer, nullable=False, server_default=text("0")),
    instant("due_at", nullable=False, server_default=func.now()),
    # The fencing token: every claim raises it, and a write with an older one is rejected.
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    instant("leased_until"),
    Column("causation_id", Text),
    Column("traceparent", Text, nullable=False),
    Column("last_error", Text),
    # The result of the outside work, committed before anything that follows from it: the work is not repeated.
    Column("result", JSONB(none_as_null=True)),
    # Why there will be no further attempt, until the consequences of that are committed.
    Column("given_up", Text),
    instant("created_at", nullable=False, server_default=func.now()),
    instant("finished_at"),
    UniqueConstraint("kind", "business_key"),
    CheckConstraint("state IN ('ready', 'running', 'done', 'dead')", name="state"),
    Index("ix_jobs_ready", "kind", "due_at", postgresql_where=text("state = 'ready'")),
    Index("ix_jobs_running", "leased_until", postgresql_where=text("state = 'running'")),
    Index("ix_jobs_done", "finished_at", postgresql_where=text("state = 'done'")),
    Index("ix_jobs_dead", "finished_at", postgresql_where=text("state = 'dead'")),
)

job_attempts = Table(
    "job_attempts",
    infrastructure,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    instant("started_at", nullable=False, server_default=func.now()),
    instant("finished_at"),
    # Null during the attempt, and for ever when the worker died: it is then unknown how far the attempt came.
    Column("outcome", Text),
    Column("error", Text),
    CheckConstraint("outcome IN ('succeeded', 'failed', 'abandoned', 'handed_back')", name="outcome"),
)
