"""The states of a refund, its calls, and what the provider tells us by itself (ADR 36).

A refund that is PENDING was not made yet: it is READY, or UNKNOWN if an attempt was made. The previous version of the
service still works: what it opens is PENDING without a transaction id, and is looked up before it is sent.
"""

from alembic import op

revision = "0005_refund_states"
down_revision = "0004_book_online"

STATEMENTS = (
    """
    ALTER TABLE refunds
        ADD COLUMN called_at TIMESTAMP WITH TIME ZONE,
        ADD COLUMN last_answer TEXT,
        ADD COLUMN reported TEXT,
        ADD COLUMN settled_by_hand BOOLEAN DEFAULT false NOT NULL,
        DROP CONSTRAINT ck_refunds_cause,
        DROP CONSTRAINT ck_refunds_status,
        DROP CONSTRAINT ck_refunds_succeeded_means_made,
        ADD CONSTRAINT ck_refunds_cause CHECK (
            cause IN ('RETURN_COMPLETED', 'ORDER_CANCELLED', 'LATE_PAYMENT', 'SURPLUS_PAYMENT', 'OPERATOR')
        ),
        ADD CONSTRAINT ck_refunds_status CHECK (
            status IN (
                'READY', 'CALLING', 'UNKNOWN', 'PENDING', 'SUCCEEDED', 'DECLINED', 'FAILED', 'HELD', 'REVERSED'
            )
        ),
        ADD CONSTRAINT ck_refunds_succeeded_means_made CHECK (
            (status IN ('SUCCEEDED', 'REVERSED')) = (completed_at IS NOT NULL)
            AND (status NOT IN ('SUCCEEDED', 'REVERSED') OR transaction_id IS NOT NULL)
        )
    """,
    """
    WITH moved AS (
        UPDATE refunds SET
            status = CASE WHEN attempt.last IS NULL THEN 'READY' ELSE 'UNKNOWN' END,
            called_at = attempt.last,
            last_answer = CASE WHEN attempt.last IS NOT NULL THEN 'LOST' END
        FROM refunds AS before LEFT JOIN LATERAL (
            SELECT max(job_attempts.started_at) AS last FROM jobs JOIN job_attempts ON job_attempts.job_id = jobs.id
            WHERE jobs.kind = 'refund' AND jobs.business_key = before.business_key
        ) AS attempt ON true
        WHERE before.status = 'PENDING' AND refunds.id = before.id
        RETURNING refunds.status
    )
    INSERT INTO refund_count_changes (status, change)
    SELECT status, 1 FROM moved UNION ALL SELECT 'PENDING', -1 FROM moved
    """,
    """
    CREATE TABLE refund_calls (
        position BIGINT GENERATED ALWAYS AS IDENTITY,
        refund_id UUID NOT NULL,
        kind TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        idempotency_key TEXT NOT NULL,
        request_hash BYTEA NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        CONSTRAINT pk_refund_calls PRIMARY KEY (position),
        CONSTRAINT ck_refund_calls_kind CHECK (kind IN ('REFUND', 'LOOK_UP'))
    )
    """,
    "CREATE INDEX ix_refund_calls_refund_id ON refund_calls (refund_id)",
    """
    CREATE TABLE refund_call_answers (
        call_position BIGINT NOT NULL,
        outcome TEXT NOT NULL,
        answer TEXT,
        ended_at TIMESTAMP WITH TIME ZONE DEFAULT clock_timestamp() NOT NULL,
        CONSTRAINT pk_refund_call_answers PRIMARY KEY (call_position),
        CONSTRAINT fk_refund_call_answers_call_position FOREIGN KEY (call_position) REFERENCES refund_calls (position)
    )
    """,
    """
    CREATE TRIGGER refund_calls_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refund_calls
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER refund_call_answers_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON refund_call_answers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TABLE provider_events (
        provider TEXT NOT NULL,
        event_id TEXT NOT NULL,
        event JSONB NOT NULL,
        body BYTEA,
        received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_provider_events PRIMARY KEY (provider, event_id)
    )
    """,
    """
    CREATE TABLE gateway_refunds (
        id TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        reference TEXT,
        amount NUMERIC(19, 4) NOT NULL,
        currency TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_gateway_refunds PRIMARY KEY (id),
        CONSTRAINT ck_gateway_refunds_status CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED'))
    )
    """,
    "CREATE INDEX ix_gateway_refunds_payment_reference ON gateway_refunds (payment_reference)",
    """
    CREATE TABLE payment_disputes (
        dispute_id TEXT NOT NULL,
        payment_reference TEXT NOT NULL,
        amount NUMERIC(19, 4) NOT NULL,
        currency TEXT NOT NULL,
        status TEXT NOT NULL,
        reason TEXT,
        changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_payment_disputes PRIMARY KEY (dispute_id),
        CONSTRAINT ck_payment_disputes_status CHECK (status IN ('OPENED', 'WON', 'LOST'))
    )
    """,
    "CREATE INDEX ix_payment_disputes_payment_reference ON payment_disputes (payment_reference)",
    """
    CREATE TABLE gateway_sweeps (
        provider TEXT NOT NULL,
        cursor TEXT,
        swept_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_gateway_sweeps PRIMARY KEY (provider)
    )
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
