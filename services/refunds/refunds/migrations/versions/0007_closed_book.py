"""Since when the payment gateway does not answer the calls of a refund (ADR 36), and the closing of the book (ADR 47).

The previous version of the service continues to work: it leaves both empty.
"""

from alembic import op

revision = "0007_closed_book"
down_revision = "0006_payment_index_online"

STATEMENTS = (
    "ALTER TABLE refunds ADD COLUMN unreached_since TIMESTAMP WITH TIME ZONE",
    """
    CREATE TABLE book_closing (
        currency TEXT NOT NULL,
        account TEXT NOT NULL,
        position BIGINT NOT NULL,
        debits NUMERIC NOT NULL,
        credits NUMERIC NOT NULL,
        CONSTRAINT pk_book_closing PRIMARY KEY (currency, account)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
