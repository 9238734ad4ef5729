"""The book of the refunds that exist, and one automatic refund per payment, while the service writes.

Outside a transaction: each statement commits. A run that was interrupted is repeated from the beginning. A refund that
the previous version of the service makes afterwards is booked when an operator refunds its payment.
"""

from alembic import op
from sqlalchemy import text

revision = "0004_book_online"
down_revision = "0003_book"

PAYMENTS = text(
    """
    WITH batch AS (
        SELECT * FROM refunds WHERE id > CAST(:after AS UUID) ORDER BY id LIMIT 10000
    )
    INSERT INTO book_payments (
        order_id, kind, reference, first_reference, currency, order_number, customer_email, customer_name
    )
    SELECT r.order_id,
        CASE WHEN r.cause IN ('LATE_PAYMENT', 'SURPLUS_PAYMENT') THEN r.cause ELSE 'CAPTURE' END,
        coalesce(i.reference, r.payment_reference),
        CASE WHEN i.reference IS NOT NULL THEN r.payment_reference END,
        r.currency, r.order_number, r.customer_email, r.customer_name
    FROM batch r
    LEFT JOIN identified_payments i ON i.order_id = r.order_id AND i.first_reference = r.payment_reference
    ON CONFLICT DO NOTHING
    """
)
POSTINGS = text(
    """
    WITH batch AS (
        SELECT * FROM refunds WHERE id > CAST(:after AS UUID) ORDER BY id LIMIT 10000
    ), booked AS (
        SELECT r.*, p.id AS payment_id, p.kind FROM batch r JOIN book_payments p
        ON p.order_id = r.order_id AND r.payment_reference IN (p.reference, p.first_reference)
    ), posted AS (
        INSERT INTO postings (
            payment_id, subject, number, kind, source, target, amount, transaction_id, actor, created_at
        )
        SELECT payment_id, 'payment:' || payment_id, 1, kind, 'payment', 'refundable', amount, NULL, 'migration',
            created_at
        FROM booked
        UNION ALL
        SELECT payment_id, 'refund:' || id, 1, 'REFUND_PAID', 'refundable', 'paid_back', amount, transaction_id,
            'migration', completed_at
        FROM booked WHERE status = 'SUCCEEDED'
        ON CONFLICT DO NOTHING
    )
    SELECT CAST(id AS TEXT) FROM batch ORDER BY id DESC LIMIT 1
    """
)
INDEXES = {
    "uq_refunds_automatic": "UNIQUE INDEX {} ON refunds (order_id, payment_reference) WHERE cause <> 'OPERATOR'",
    "ix_refunds_order_id": "INDEX {} ON refunds (order_id)",
}


def upgrade() -> None:
    last: str | None = "00000000-0000-0000-0000-000000000000"
    while last is not None:
        op.get_bind().execute(PAYMENTS, {"after": last})
        last = op.get_bind().execute(POSTINGS, {"after": last}).scalar()
    for name, definition in INDEXES.items():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE {definition.format(f'CONCURRENTLY {name}')}")
    op.execute("ALTER TABLE refunds DROP CONSTRAINT IF EXISTS uq_refunds_order_id_payment_reference")
