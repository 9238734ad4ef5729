"""The job queue: jobs, their attempts, the kinds that are paused, and the running workers."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from common.database.tables.columns import infrastructure, instant

jobs = sa.Table(
    "jobs",
    infrastructure,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("business_key", sa.Text, nullable=False),
    sa.Column("payload", JSONB, nullable=False),
    sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'ready'")),
    sa.Column("failures", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
    # Attempts during which the worker died or stopped renewing its lease.
    sa.Column("abandoned", sa.Integer, nullable=False, server_default=sa.text("0")),
    # Attempts that a failure of the database ended; they are not failures of the job.
    sa.Column("set_backs", sa.Integer, nullable=False, server_default=sa.text("0")),
    instant("due_at", nullable=False, server_default=sa.func.now()),
    # The fencing token: every claim raises it, and a write with an older one is rejected.
    sa.Column("lease_token", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    instant("leased_until"),
    sa.Column("causation_id", sa.Text),
    sa.Column("traceparent", sa.Text, nullable=False),
    sa.Column("last_error", sa.Text),
    # `cause_of(last_error)`, and the time of that failure. An empty cause: none, or stored by a version before this.
    sa.Column("cause", sa.Text, nullable=False, server_default=sa.text("''")),
    instant("failed_at"),
    sa.Column("discarded_reason", sa.Text),
    sa.Column("discarded_by", sa.Text),
    # The result of the external work, committed before anything that follows from it: the work is not repeated.
    sa.Column("result", JSONB(none_as_null=True)),
    # Why there will be no further attempt, until the consequences of that are committed.
    sa.Column("given_up", sa.Text),
    instant("created_at", nullable=False, server_default=sa.func.now()),
    instant("finished_at"),
    sa.UniqueConstraint("kind", "business_key"),
    sa.CheckConstraint("state IN ('ready', 'running', 'done', 'dead', 'discarded')", name="state"),
    sa.Index("ix_jobs_ready", "kind", "due_at", postgresql_where=sa.text("state = 'ready'")),
    sa.Index("ix_jobs_running", "leased_until", postgresql_where=sa.text("state = 'running'")),
    sa.Index("ix_jobs_newest", sa.text("created_at DESC"), "id"),
    # With the kind, so that jobs of a kind are counted without their rows.
    sa.Index(
        "ix_jobs_done_kind", "finished_at", postgresql_include=["kind"], postgresql_where=sa.text("state = 'done'")
    ),
    sa.Index("ix_jobs_dead", "finished_at", postgresql_where=sa.text("state = 'dead'")),
    sa.Index("ix_jobs_discarded", "finished_at", postgresql_where=sa.text("state = 'discarded'")),
    sa.Index(
        *("ix_jobs_failed", "kind", "cause", "failed_at"),
        postgresql_include=["state", "id"],
        postgresql_where=sa.text("last_error IS NOT NULL AND state IN ('ready', 'running', 'dead')"),
    ),
)

# Kinds of jobs that no worker claims, until an operator resumes them.
paused_kinds = sa.Table(
    "paused_kinds",
    infrastructure,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("paused_by", sa.Text, nullable=False),
    instant("paused_at", nullable=False, server_default=sa.func.now()),
)

# The running workers with the kinds of jobs that they run. A worker that did not renew its row has
# stopped or hangs.
workers = sa.Table(
    "workers",
    infrastructure,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kinds", sa.ARRAY(sa.Text), nullable=False),
    instant("active_until", nullable=False),
)

job_attempts = sa.Table(
    "job_attempts",
    infrastructure,
    sa.Column("job_id", sa.Uuid, sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("worker", sa.Text, nullable=False),
    instant("started_at", nullable=False, server_default=sa.func.now()),
    instant("finished_at"),
    # Null during the attempt, and for ever when the worker died: it is then unknown how far the attempt came.
    sa.Column("outcome", sa.Text),
    sa.Column("error", sa.Text),
    sa.CheckConstraint("outcome IN ('succeeded', 'failed', 'abandoned', 'handed_back')", name="outcome"),
)
