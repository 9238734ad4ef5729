"""Find the refunds of a payment, which events of the provider name, while the service writes.

Outside a transaction: a run that was interrupted is repeated from the beginning.
"""

from alembic import op

revision = "0006_payment_index_online"
down_revision = "0005_refund_states"


def upgrade() -> None:
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_refunds_payment_reference")
    op.execute("CREATE INDEX CONCURRENTLY ix_refunds_payment_reference ON refunds (payment_reference)")
