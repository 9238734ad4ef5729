"""Index jobs by their creation, and those that are done with their kind, while the service writes (ADR 44).

Without these, each list of jobs and each count of one kind reads the whole table. Neither index costs an update that
PostgreSQL makes without writing to indexes (HOT): no update changes `created_at`, `id` or `kind`, and the updates that
change the state write to every index anyway, as the state is in the condition of the partial indexes. Such an update
writes one entry more, beside those of the jobs that are created at the same time.

Outside a transaction: a run that was interrupted is repeated from the beginning.
"""

from alembic import op

revision = "0023_job_lists_online"
down_revision = "0022_volatile_details"
branch_labels = None
depends_on = None

STATEMENTS = (
    "DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_newest",
    "CREATE INDEX CONCURRENTLY ix_jobs_newest ON jobs (created_at DESC, id)",
    # The old index is of use until the new one is complete.
    "DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_done_kind",
    "CREATE INDEX CONCURRENTLY ix_jobs_done_kind ON jobs (finished_at) INCLUDE (kind) WHERE state = 'done'",
    "DROP INDEX CONCURRENTLY IF EXISTS ix_jobs_done",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
