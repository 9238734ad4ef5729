"""A reservation with the id of a refund that the provider has accepted is a fact: booked whatever is left (ADR 38).

The previous version of the service continues to work: its reservations have no such id.
"""

from alembic import op

revision = "0011_accepted_refunds"
down_revision = "0010_early_events_online"

# As in 0003, but for `is_fact`.
FUNCTION = """
    CREATE OR REPLACE FUNCTION apply_posting() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        -- What has happened at the provider is booked even where it exceeds what is left.
        is_fact CONSTANT BOOLEAN := NEW.kind IN ('REFUND_PAID', 'FOREIGN_REFUND', 'DISPUTE_OPENED', 'DISPUTE_LOST')
            OR (NEW.kind = 'REFUND_RESERVED' AND NEW.transaction_id IS NOT NULL);
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
"""


def upgrade() -> None:
    op.execute(FUNCTION)
