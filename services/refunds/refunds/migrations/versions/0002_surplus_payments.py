"""Refunds of surplus payments, one refund per payment, and payments whose id is reported later than they are.

The unique constraint replaces the index on the order. No payment was ever requested to be refunded twice, so existing
rows meet it. The previous version of the service still works.
"""

from alembic import op

revision = "0002_surplus_payments"
down_revision = "0001_refunds"

STATEMENTS = (
    """
    CREATE TABLE identified_payments (
        order_id UUID NOT NULL,
        first_reference TEXT NOT NULL,
        reference TEXT NOT NULL,
        CONSTRAINT pk_identified_payments PRIMARY KEY (order_id, first_reference)
    )
    """,
    """
    ALTER TABLE refunds
        DROP CONSTRAINT ck_refunds_cause,
        ADD CONSTRAINT ck_refunds_cause CHECK (
            cause IN ('RETURN_COMPLETED', 'ORDER_CANCELLED', 'LATE_PAYMENT', 'SURPLUS_PAYMENT')
        ),
        ADD CONSTRAINT uq_refunds_order_id_payment_reference UNIQUE (order_id, payment_reference)
    """,
    "DROP INDEX ix_refunds_order_id",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
