"""Events of the provider that come before the report of their payment: both of its ids, and which events are applied.

The previous version of the service continues to work: it leaves the ids empty. What it has received counts as applied:
the default of the existing rows is stored once for all of them, so the table is not rewritten.
"""

from alembic import op

revision = "0009_early_events"
down_revision = "0008_provider_events_online"


def upgrade() -> None:
    op.execute("ALTER TABLE gateway_refunds ADD COLUMN payment_alias TEXT")
    op.execute("ALTER TABLE payment_disputes ADD COLUMN payment_alias TEXT")
    op.execute("ALTER TABLE provider_events ADD COLUMN applied_at TIMESTAMP WITH TIME ZONE DEFAULT now()")
