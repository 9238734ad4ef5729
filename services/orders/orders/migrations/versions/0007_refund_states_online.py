"""More states of refunds, and payments whose amount is not that of their order, while the service writes.

The previous version of the service continues to work as long as nothing writes them: its role `api` cannot read them,
so it is replaced before the role `consumer` of any service. The new conditions are wider than the old
ones. Outside a transaction: each statement commits. A run that was interrupted is repeated from the beginning.
"""

from alembic import op

revision = "0007_refund_states_online"
down_revision = "0006_notes"

STATEMENTS = (
    "ALTER TABLE payments ADD COLUMN IF NOT EXISTS mismatched BOOLEAN DEFAULT false NOT NULL",
    """
    ALTER TABLE orders
        DROP CONSTRAINT IF EXISTS ck_orders_refund_status,
        ADD CONSTRAINT ck_orders_refund_status CHECK (
            refund_status IN ('NONE', 'PENDING', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'REVERSED')
        ) NOT VALID
    """,
    """
    ALTER TABLE payments
        DROP CONSTRAINT IF EXISTS ck_payments_refund_status,
        ADD CONSTRAINT ck_payments_refund_status CHECK (
            refund_status IN ('PROCESSING', 'SUCCEEDED', 'FAILED', 'REVERSED')
        ) NOT VALID,
        DROP CONSTRAINT IF EXISTS ck_payments_one_kind,
        ADD CONSTRAINT ck_payments_one_kind CHECK (
            CAST(late AS INTEGER) + CAST(surplus AS INTEGER) + CAST(mismatched AS INTEGER) <= 1
        ) NOT VALID
    """,
    # Reads the table without keeping others from writing to it.
    "ALTER TABLE orders VALIDATE CONSTRAINT ck_orders_refund_status",
    "ALTER TABLE payments VALIDATE CONSTRAINT ck_payments_refund_status",
    "ALTER TABLE payments VALIDATE CONSTRAINT ck_payments_one_kind",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
