"""The double-entry book of payments (ADR 38).

A posting moves an amount from one account of a payment to another one, so none is unbalanced. The trigger of a posting
keeps the payment's balances, under the lock of their row; its constraints refuse what would overdraw it.

The previous version of the service continues to work: it does not know the tables.
"""

from alembic import op

revision = "0003_book"
down_revision = "0002_surplus_payments"

TABLES = (
    """
    CREATE TABLE book_payments (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        order_id UUID NOT NULL,
        kind TEXT NOT NULL,
        reference TEXT NOT NULL,
        first_reference TEXT,
        currency TEXT NOT NULL,
        order_number TEXT NOT NULL,
        customer_email TEXT,
        customer_name TEXT,
        captured NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        refundable NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        in_flight NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        paid_back NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        paid_elsewhere NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        settled NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        disputed NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        lost NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        excess NUMERIC(19, 4) DEFAULT 0 NOT NULL,
        CONSTRAINT pk_book_payments PRIMARY KEY (id),
        CONSTRAINT uq_book_payments_order_id_reference UNIQUE (order_id, reference),
        CONSTRAINT ck_book_payments_kind CHECK (
            kind IN ('CAPTURE', 'LATE_PAYMENT', 'SURPLUS_PAYMENT', 'MISMATCHED_PAYMENT')
        ),
        CONSTRAINT ck_book_payments_balanced CHECK (
            captured = refundable + in_flight + paid_back + paid_elsewhere + settled + disputed + lost
        ),
        CONSTRAINT ck_book_payments_not_overdrawn CHECK (
            refundable + excess >= 0 AND excess >= 0
            AND least(captured, in_flight, paid_back, paid_elsewhere, settled, disputed, lost) >= 0
        )
    ) WITH (fillfactor = 70)
    """,
    "CREATE UNIQUE INDEX uq_book_payments_captured ON book_payments (order_id) WHERE kind = 'CAPTURE'",
    "CREATE INDEX ix_book_payments_reference ON book_payments (reference)",
    "CREATE INDEX ix_book_payments_excess ON book_payments (id) WHERE excess > 0",
    """
    CREATE TABLE postings (
        position BIGINT GENERATED ALWAYS AS IDENTITY,
        payment_id BIGINT NOT NULL,
        subject TEXT NOT NULL,
        number INTEGER NOT NULL,
        kind TEXT NOT NULL,
        source TEXT NOT NULL,
        target TEXT NOT NULL,
        amount NUMERIC(19, 4) NOT NULL,
        transaction_id TEXT,
        actor TEXT NOT NULL,
        causation_id TEXT,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_postings PRIMARY KEY (position),
        CONSTRAINT uq_postings_subject_number UNIQUE (subject, number),
        CONSTRAINT fk_postings_payment_id FOREIGN KEY(payment_id) REFERENCES book_payments (id),
        CONSTRAINT ck_postings_amount_positive CHECK (amount > 0),
        CONSTRAINT ck_postings_kind CHECK (
            kind IN (
                'CAPTURE', 'LATE_PAYMENT', 'SURPLUS_PAYMENT', 'MISMATCHED_PAYMENT', 'REFUND_RESERVED',
                'REFUND_RELEASED', 'REFUND_PAID', 'REFUND_REVERSED', 'SETTLED_BY_HAND', 'FOREIGN_REFUND',
                'DISPUTE_OPENED', 'DISPUTE_WON', 'DISPUTE_LOST'
            )
        ),
        CONSTRAINT ck_postings_accounts CHECK (
            source <> target
            AND source IN (
                'payment', 'refundable', 'in_flight', 'paid_back', 'paid_elsewhere', 'settled', 'disputed', 'lost'
            )
            AND target IN ('refundable', 'in_flight', 'paid_back', 'paid_elsewhere', 'settled', 'disputed', 'lost')
        )
    )
    """,
    "CREATE INDEX ix_postings_payment_id ON postings (payment_id, position)",
    """
    CREATE UNIQUE INDEX uq_postings_transaction_id ON postings (transaction_id)
    WHERE target IN ('paid_back', 'paid_elsewhere', 'settled')
    """,
    """
    CREATE TABLE book_disagreements (
        position BIGINT GENERATED ALWAYS AS IDENTITY,
        order_id UUID,
        reference TEXT NOT NULL,
        kind TEXT NOT NULL,
        booked TEXT NOT NULL,
        reported TEXT NOT NULL,
        source TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_book_disagreements PRIMARY KEY (position),
        CONSTRAINT uq_book_disagreements_reported UNIQUE NULLS NOT DISTINCT (
            order_id, reference, kind, source, reported
        )
    )
    """,
)

TRIGGERS = (
    """
    CREATE FUNCTION apply_posting() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        -- What has happened at the provider is booked even where it exceeds what is left.
        is_fact CONSTANT BOOLEAN := NEW.kind IN ('REFUND_PAID', 'FOREIGN_REFUND', 'DISPUTE_OPENED', 'DISPUTE_LOST');
        debited CONSTANT TEXT := NEW.target;
        credited CONSTANT TEXT := NEW.source;
        change CONSTANT NUMERIC := NEW.amount * ((debited = 'refundable')::int - (credited = 'refundable')::int);
    BEGIN
        UPDATE book_payments SET
            captured = captured + NEW.amount * (credited = 'payment')::int,
            refundable = refundable + NEW.amount * ((debited = 'refundable')::int - (credited = 'refundable')::int),
            in_flight = in_flight + NEW.amount * ((debited = 'in_flight')::int - (credited = 'in_flight')::int),
            paid_back = paid_back + NEW.amount * ((debited = 'paid_back')::int - (credited = 'paid_back')::int),
            paid_elsewhere = paid_elsewhere
                + NEW.amount * ((debited = 'paid_elsewhere')::int - (credited = 'paid_elsewhere')::int),
            settled = settled + NEW.amount * ((debited = 'settled')::int - (credited = 'settled')::int),
            disputed = disputed + NEW.amount * ((debited = 'disputed')::int - (credited = 'disputed')::int),
            lost = lost + NEW.amount * ((debited = 'lost')::int - (credited = 'lost')::int),
            excess = CASE WHEN is_fact THEN greatest(0, -(refundable + change))
                ELSE least(excess, greatest(0, -(refundable + change))) END
        WHERE id = NEW.payment_id;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER apply_posting AFTER INSERT ON postings
    FOR EACH ROW EXECUTE FUNCTION apply_posting()
    """,
    """
    CREATE TRIGGER postings_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON postings
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER book_payments_are_kept BEFORE DELETE OR TRUNCATE ON book_payments
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER balances_follow_postings BEFORE UPDATE OF id, currency, captured, refundable, in_flight, paid_back,
        paid_elsewhere, settled, disputed, lost, excess
    ON book_payments FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE FUNCTION refuse_balance() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a payment begins without balances: only postings change them'
            USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE TRIGGER balances_begin_at_zero BEFORE INSERT ON book_payments
    FOR EACH ROW WHEN (NEW.captured <> 0 OR NEW.excess <> 0 OR NEW.refundable <> 0) EXECUTE FUNCTION refuse_balance()
    """,
)


def upgrade() -> None:
    for statement in (*TABLES, *TRIGGERS):
        op.execute(statement)
