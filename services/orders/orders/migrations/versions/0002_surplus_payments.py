"""Payments that come while their order is paid, and those whose id is reported later than they are.

Existing rows need no change: a payment that is not late is the captured one, and none was surplus. The previous version
of the service still works: it writes neither column.
"""

from alembic import op

revision = "0002_surplus_payments"
down_revision = "0001_orders"


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE payments
            ADD COLUMN surplus BOOLEAN DEFAULT false NOT NULL,
            ADD COLUMN first_reference TEXT,
            ADD CONSTRAINT ck_payments_one_kind CHECK (NOT (late AND surplus))
        """
    )
