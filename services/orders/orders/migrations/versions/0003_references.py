"""References of clients: an external id, unique for each owner, and metadata.

The previous version of the service continues to work: it writes none of the columns. No row is rewritten; writes to
orders wait while the index is built, for which the table is read once.
"""

from alembic import op

revision = "0003_references"
down_revision = "0002_surplus_payments"

STATEMENTS = (
    """
    ALTER TABLE orders
        ADD COLUMN external_id TEXT,
        ADD COLUMN external_id_owner UUID,
        ADD COLUMN metadata JSONB
    """,
    """
    CREATE UNIQUE INDEX uq_orders_external_id ON orders (external_id, external_id_owner)
    WHERE external_id IS NOT NULL
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
