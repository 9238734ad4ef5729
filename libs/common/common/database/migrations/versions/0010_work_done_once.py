"""Store the result of a job's external work and its set-backs; index finished jobs and replayed poison for the purge.

Workers of the previous version continue to work. No row is rewritten; writes to jobs wait while the indexes are built.
"""

from alembic import op

revision = "0010_work_done_once"
down_revision = "0009_outbox_holds"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE jobs
        ADD COLUMN set_backs INTEGER DEFAULT 0 NOT NULL,
        ADD COLUMN result JSONB,
        ADD COLUMN given_up TEXT
    """,
    "CREATE INDEX ix_jobs_done ON jobs (finished_at) WHERE state = 'done'",
    "CREATE INDEX ix_poison_kept ON poison (created_at) WHERE state = 'kept'",
    "CREATE INDEX ix_poison_replayed ON poison (replayed_at) WHERE state = 'replayed'",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
