"""Find the provider's events whose retention is over, while the service writes.

Outside a transaction: a run that was interrupted is repeated from the beginning.
"""

from alembic import op

revision = "0008_provider_events_online"
down_revision = "0007_closed_book"


def upgrade() -> None:
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_provider_events_received_at")
    op.execute("CREATE INDEX CONCURRENTLY ix_provider_events_received_at ON provider_events (received_at)")
