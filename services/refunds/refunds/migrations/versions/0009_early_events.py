"""Events of the provider that come before the report of their payment: both of its ids.

The previous version of the service continues to work: it leaves the new columns empty.
"""

from alembic import op

revision = "0009_early_events"
down_revision = "0008_provider_events_online"


def upgrade() -> None:
    op.execute("ALTER TABLE gateway_refunds ADD COLUMN payment_alias TEXT")
    op.execute("ALTER TABLE payment_disputes ADD COLUMN payment_alias TEXT")
