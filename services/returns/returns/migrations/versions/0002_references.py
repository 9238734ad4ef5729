"""References of clients: an external id, unique for each owner, and metadata.

The previous version of the service continues to work: it writes none of the columns. No row is rewritten; writes to
returns wait while the index is built, for which the table is read once.
"""

from alembic import op

revision = "0002_references"
down_revision = "0001_returns"

STATEMENTS = (
    """
    ALTER TABLE returns
        ADD COLUMN external_id TEXT,
        ADD COLUMN external_id_owner UUID,
        ADD COLUMN metadata JSONB
    """,
    """
    CREATE UNIQUE INDEX uq_returns_external_id ON returns (external_id, external_id_owner)
    WHERE external_id IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
