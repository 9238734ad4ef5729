"""Create the tables of outbox, inbox, jobs, audit trail, idempotency keys and API keys."""

from alembic import op

revision = "0001_infrastructure"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE api_keys (
        prefix TEXT NOT NULL,
        name TEXT NOT NULL,
        secret_hash BYTEA NOT NULL,
        role TEXT NOT NULL,
        customer_id UUID,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE,
        revoked_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_api_keys PRIMARY KEY (prefix),
        CONSTRAINT ck_api_keys_role CHECK (role IN ('client', 'warehouse', 'payments', 'manager', 'ops'))
    )
    """,
    """
    CREATE TABLE audit (
        id UUID NOT NULL,
        entity_type TEXT NOT NULL,
        entity_id UUID NOT NULL,
        position INTEGER NOT NULL,
        previous_state TEXT,
        new_state TEXT NOT NULL,
        outcome TEXT NOT NULL,
        actor_id TEXT,
        actor_type TEXT NOT NULL,
        trigger TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        details_digest BYTEA NOT NULL,
        previous_hash BYTEA NOT NULL,
        hash BYTEA NOT NULL,
        CONSTRAINT pk_audit PRIMARY KEY (id),
        CONSTRAINT uq_audit_entity_type_entity_id_position UNIQUE (entity_type, entity_id, position),
        CONSTRAINT ck_audit_outcome CHECK (outcome IN ('ACCEPTED', 'REFUSED')),
        CONSTRAINT ck_audit_actor_type CHECK (actor_type IN ('USER', 'SYSTEM')),
        CONSTRAINT ck_audit_trigger CHECK (trigger IN ('API_CALL', 'EVENT', 'BACKGROUND_JOB'))
    )
    """,
    """
    CREATE TABLE consumer_positions (
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        position BIGINT NOT NULL,
        lag BIGINT NOT NULL,
        caught_up_at TIMESTAMP WITH TIME ZONE,
        reported_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_consumer_positions PRIMARY KEY (topic, partition)
    )
    """,
    """
    CREATE TABLE event_streams (
        topic TEXT NOT NULL,
        key TEXT NOT NULL,
        sequence BIGINT NOT NULL,
        CONSTRAINT pk_event_streams PRIMARY KEY (topic, key)
    )
    """,
    """
    CREATE TABLE idempotency_keys (
        scope BYTEA NOT NULL,
        key TEXT NOT NULL,
        request_hash BYTEA NOT NULL,
        status SMALLINT NOT NULL,
        headers JSONB NOT NULL,
        body BYTEA NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_idempotency_keys PRIMARY KEY (scope, key)
    )
    """,
    "CREATE INDEX ix_idempotency_keys_expires_at ON idempotency_keys (expires_at)",
    """
    CREATE TABLE inbox (
        consumer TEXT NOT NULL,
        event_id TEXT NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        "offset" BIGINT NOT NULL,
        received_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        CONSTRAINT pk_inbox PRIMARY KEY (consumer, event_id)
    )
    """,
    "CREATE INDEX ix_inbox_received_at ON inbox (received_at)",
    """
    CREATE TABLE jobs (
        id UUID NOT NULL,
        kind TEXT NOT NULL,
        business_key TEXT NOT NULL,
        payload JSONB NOT NULL,
        state TEXT DEFAULT 'ready' NOT NULL,
        failures INTEGER DEFAULT 0 NOT NULL,
        attempts INTEGER DEFAULT 0 NOT NULL,
        abandoned INTEGER DEFAULT 0 NOT NULL,
        due_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        lease_token BIGINT DEFAULT 0 NOT NULL,
        leased_until TIMESTAMP WITH TIME ZONE,
        causation_id TEXT,
        traceparent TEXT NOT NULL,
        last_error TEXT,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_jobs PRIMARY KEY (id),
        CONSTRAINT uq_jobs_kind_business_key UNIQUE (kind, business_key),
        CONSTRAINT ck_jobs_state CHECK (state IN ('ready', 'running', 'done', 'dead'))
    )
    """,
    "CREATE INDEX ix_jobs_dead ON jobs (finished_at) WHERE state = 'dead'",
    "CREATE INDEX ix_jobs_ready ON jobs (due_at) WHERE state = 'ready'",
    "CREATE INDEX ix_jobs_running ON jobs (leased_until) WHERE state = 'running'",
    """
    CREATE TABLE outbox (
        position BIGINT GENERATED ALWAYS AS IDENTITY,
        id UUID NOT NULL,
        aggregatetype TEXT NOT NULL,
        aggregateid TEXT NOT NULL,
        type TEXT NOT NULL,
        payload BYTEA NOT NULL,
        topic TEXT NOT NULL,
        key TEXT NOT NULL,
        sequence BIGINT NOT NULL,
        epoch INTEGER DEFAULT 1 NOT NULL,
        lane SMALLINT NOT NULL,
        causation_id TEXT,
        traceparent TEXT NOT NULL,
        headers JSONB,
        state TEXT DEFAULT 'pending' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        published_at TIMESTAMP WITH TIME ZONE,
        last_error TEXT,
        CONSTRAINT pk_outbox PRIMARY KEY (position),
        CONSTRAINT uq_outbox_topic_key_epoch_sequence UNIQUE (topic, key, epoch, sequence),
        CONSTRAINT ck_outbox_payload_fits_kafka CHECK (octet_length(payload) <= 900000),
        CONSTRAINT ck_outbox_state CHECK (state IN ('pending', 'published', 'parked')),
        CONSTRAINT uq_outbox_id UNIQUE (id)
    )
    """,
    "CREATE INDEX ix_outbox_parked ON outbox (topic, key) WHERE state = 'parked'",
    "CREATE INDEX ix_outbox_pending ON outbox (position) WHERE state = 'pending'",
    "CREATE INDEX ix_outbox_published ON outbox (published_at) WHERE state = 'published'",
    """
    CREATE TABLE poison (
        id UUID NOT NULL,
        topic TEXT NOT NULL,
        partition INTEGER NOT NULL,
        "offset" BIGINT NOT NULL,
        key BYTEA,
        value BYTEA,
        headers JSONB NOT NULL,
        record_time BIGINT NOT NULL,
        error TEXT NOT NULL,
        state TEXT DEFAULT 'kept' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        replayed_at TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_poison PRIMARY KEY (id),
        CONSTRAINT uq_poison_topic_partition_offset UNIQUE (topic, partition, "offset"),
        CONSTRAINT ck_poison_state CHECK (state IN ('kept', 'replayed'))
    )
    """,
    """
    CREATE TABLE relay_lanes (
        lane SMALLSERIAL NOT NULL,
        owner TEXT,
        token BIGINT DEFAULT 0 NOT NULL,
        leased_until TIMESTAMP WITH TIME ZONE,
        CONSTRAINT pk_relay_lanes PRIMARY KEY (lane)
    )
    """,
    """
    CREATE TABLE relays (
        owner TEXT NOT NULL,
        active_until TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_relays PRIMARY KEY (owner)
    )
    """,
    """
    CREATE TABLE audit_details (
        audit_id UUID NOT NULL,
        salt BYTEA NOT NULL,
        details TEXT NOT NULL,
        ip_address TEXT,
        CONSTRAINT pk_audit_details PRIMARY KEY (audit_id),
        CONSTRAINT fk_audit_details_audit_id FOREIGN KEY(audit_id) REFERENCES audit (id)
    )
    """,
    """
    CREATE TABLE job_attempts (
        job_id UUID NOT NULL,
        number INTEGER NOT NULL,
        worker TEXT NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        finished_at TIMESTAMP WITH TIME ZONE,
        outcome TEXT,
        error TEXT,
        CONSTRAINT pk_job_attempts PRIMARY KEY (job_id, number),
        CONSTRAINT ck_job_attempts_outcome CHECK (outcome IN ('succeeded', 'failed', 'abandoned', 'handed_back')),
        CONSTRAINT fk_job_attempts_job_id FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
    )
    """,
    "INSERT INTO relay_lanes (lane) SELECT generate_series(0, 31)",
    # Privileges protect against the application, these triggers against mistakes of anyone else.
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE TRIGGER audit_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
    # To erase a person's data, the owner executes SET LOCAL articurated.erasure = 'on' first (docs/operations.md).
    """
    CREATE FUNCTION refuse_change_unless_erasing() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' AND current_setting('articurated.erasure', true) = 'on' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    """
    CREATE TRIGGER audit_details_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_details
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_unless_erasing()
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise RuntimeError("the audit trail and undelivered events are not given up by a migration: restore a backup")
