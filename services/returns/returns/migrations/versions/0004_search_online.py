"""The words of existing returns, and the indexes of searches and sorts, while the service writes.

Outside a transaction: each statement commits. A run that was interrupted is repeated from the beginning.
"""

from alembic import op
from sqlalchemy import text

revision = "0004_search_online"
down_revision = "0003_search"

BATCH = text(
    """
    WITH batch AS (
        SELECT id, order_number, customer_name, customer_email FROM returns
        WHERE id > CAST(:after AS UUID) ORDER BY id LIMIT 10000
    ), inserted AS (
        INSERT INTO return_search (id, terms)
        SELECT id, return_terms(order_number, customer_name, customer_email) FROM batch
        ON CONFLICT DO NOTHING
    )
    SELECT CAST(id AS TEXT) FROM batch ORDER BY id DESC LIMIT 1
    """
)
INDEXES = {
    "ix_return_search_terms": "return_search USING gin (terms) WITH (fastupdate = off)",
    "ix_returns_updated_at": "returns (updated_at, id)",
    "ix_returns_refund_amount": "returns (refund_amount, id) INCLUDE (created_at)",
}


def upgrade() -> None:
    last: str | None = "00000000-0000-0000-0000-000000000000"
    while last is not None:
        last = op.get_bind().execute(BATCH, {"after": last}).scalar()
    for name, definition in INDEXES.items():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY {name} ON {definition}")
