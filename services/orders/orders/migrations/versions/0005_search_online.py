"""The words of existing orders, and the indexes of searches and sorts, while the service writes.

Outside a transaction: each statement commits. A run that was interrupted is repeated from the beginning.
"""

from alembic import op
from sqlalchemy import text

revision = "0005_search_online"
down_revision = "0004_search"

BATCH = text(
    """
    WITH batch AS (
        SELECT id, order_number, customer_name, customer_email FROM orders
        WHERE id > CAST(:after AS UUID) ORDER BY id LIMIT 10000
    ), inserted AS (
        INSERT INTO order_search (id, terms)
        SELECT id, order_terms(order_number, customer_name, customer_email) FROM batch
        ON CONFLICT DO NOTHING
    )
    SELECT CAST(id AS TEXT) FROM batch ORDER BY id DESC LIMIT 1
    """
)
INDEXES = {
    "ix_order_search_terms": "order_search USING gin (terms) WITH (fastupdate = off)",
    "ix_orders_updated_at": "orders (updated_at, id)",
    "ix_orders_total_amount": "orders (total_amount, id) INCLUDE (created_at)",
    "ix_orders_tracking_number": "orders (tracking_number) WHERE tracking_number IS NOT NULL",
    "ix_payments_reference": "payments (reference)",
    "ix_payments_first_reference": "payments (first_reference) WHERE first_reference IS NOT NULL",
}


def upgrade() -> None:
    last: str | None = "00000000-0000-0000-0000-000000000000"
    while last is not None:
        last = op.get_bind().execute(BATCH, {"after": last}).scalar()
    for name, definition in INDEXES.items():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
