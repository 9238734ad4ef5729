"""A job keeps what its outside work came to and how often the database ended its attempts; what is over can be purged.

Workers of before go on meanwhile. The new columns cost no rewrite; while the indexes are built, what writes jobs waits.
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
