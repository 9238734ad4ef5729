"""Find early events by the other id of their payment, and events that are not applied, while the service writes.

Outside a transaction: a run that was interrupted is repeated from the beginning.
"""

from alembic import op

revision = "0010_early_events_online"
down_revision = "0009_early_events"

INDEXES = {
    "ix_provider_events_unapplied": "provider_events (received_at) WHERE applied_at IS NULL",
    "ix_gateway_refunds_payment_alias": "gateway_refunds (payment_alias) WHERE payment_alias IS NOT NULL",
    "ix_payment_disputes_payment_alias": "payment_disputes (payment_alias) WHERE payment_alias IS NOT NULL",
}


def upgrade() -> None:
    for name, columns in INDEXES.items():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {columns}")
