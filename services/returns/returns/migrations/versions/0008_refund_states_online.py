"""More states of refunds, while the service writes.

The previous version of the service continues to work. The new condition is wider than the old one. Outside a
transaction: each statement commits. A run that was interrupted is repeated from the beginning.
"""

from alembic import op

revision = "0008_refund_states_online"
down_revision = "0007_four_eyes"

STATEMENTS = (
    """
    ALTER TABLE returns
        DROP CONSTRAINT IF EXISTS ck_returns_refund_status,
        ADD CONSTRAINT ck_returns_refund_status CHECK (
            refund_status IN ('NONE', 'PENDING', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'REVERSED')
        ) NOT VALID
    """,
    # Reads the table without keeping others from writing to it.
    "ALTER TABLE returns VALIDATE CONSTRAINT ck_returns_refund_status",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
