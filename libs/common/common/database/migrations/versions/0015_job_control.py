"""Causes of failures, discarded jobs and poison records, and kinds of jobs that are paused (ADR 44).

Workers of the previous version continue to work: what they store has the cause '', which is shown as not classified.
No row is rewritten, and the wider checks are not compared with the rows, which satisfied the narrower ones.
"""

from alembic import op

revision = "0015_job_control"
down_revision = "0014_discrepancies"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE jobs
        ADD COLUMN cause TEXT DEFAULT '' NOT NULL,
        ADD COLUMN failed_at TIMESTAMP WITH TIME ZONE,
        ADD COLUMN discarded_reason TEXT,
        ADD COLUMN discarded_by TEXT,
        DROP CONSTRAINT ck_jobs_state,
        ADD CONSTRAINT ck_jobs_state CHECK (state IN ('ready', 'running', 'done', 'dead', 'discarded')) NOT VALID
    """,
    """
    ALTER TABLE poison
        ADD COLUMN discarded_at TIMESTAMP WITH TIME ZONE,
        ADD COLUMN discarded_reason TEXT,
        ADD COLUMN discarded_by TEXT,
        DROP CONSTRAINT ck_poison_state,
        ADD CONSTRAINT ck_poison_state CHECK (state IN ('kept', 'replayed', 'discarded')) NOT VALID
    """,
    """
    CREATE TABLE paused_kinds (
        kind TEXT NOT NULL,
        reason TEXT NOT NULL,
        paused_by TEXT NOT NULL,
        paused_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_paused_kinds PRIMARY KEY (kind)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
