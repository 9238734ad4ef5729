"""Move the state of pending events to a table of its own: the event's row is not rewritten when published (ADR 4).

Writers and relays of the previous version fail from then on; they cannot store events that nobody would publish.
"""

from alembic import op

revision = "0003_outbox_pending"
down_revision = "0002_jobs_by_kind"
branch_labels = None
depends_on = None

STATEMENTS = (
    "LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE",
    """
    CREATE TABLE outbox_pending (
        position BIGINT NOT NULL,
        lane SMALLINT NOT NULL,
        CONSTRAINT pk_outbox_pending PRIMARY KEY (position)
    )
    """,
    """
    CREATE TABLE outbox_parked (
        position BIGINT NOT NULL,
        lane SMALLINT NOT NULL,
        topic TEXT NOT NULL,
        key TEXT NOT NULL,
        error TEXT NOT NULL,
        parked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_outbox_parked PRIMARY KEY (position)
    )
    """,
    "CREATE INDEX ix_outbox_parked_topic_key ON outbox_parked (topic, key)",
    "INSERT INTO outbox_pending SELECT position, lane FROM outbox WHERE state = 'pending'",
    """
    INSERT INTO outbox_parked
    SELECT position, lane, topic, key, coalesce(last_error, '') FROM outbox WHERE state = 'parked'
    """,
    # This also drops the indexes of the columns and the check constraint of the state.
    """
    ALTER TABLE outbox
        DROP COLUMN lane, DROP COLUMN state, DROP COLUMN published_at, DROP COLUMN last_error
    """,
    "CREATE INDEX ix_outbox_created_at ON outbox (created_at)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
