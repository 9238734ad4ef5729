"""Create the Merkle log over all audit chains (ADR 33), and index the audit rows for the sealer and for searches.

Writers of the previous version continue to work. No row is rewritten: existing rows get the transaction number 0.
Writes to audit wait while its four indexes are built: 1 s for 100,000 rows.
"""

from alembic import op

revision = "0012_audit_log"
down_revision = "0011_api_key_limits"
branch_labels = None
depends_on = None

STATEMENTS = (
    # A constant default first, or every row would be rewritten.
    "ALTER TABLE audit ADD COLUMN transaction_id BIGINT DEFAULT 0 NOT NULL",
    "ALTER TABLE audit ALTER COLUMN transaction_id SET DEFAULT pg_current_xact_id()::text::bigint",
    "CREATE INDEX ix_audit_transaction_id_id ON audit (transaction_id, id)",
    "CREATE INDEX ix_audit_created_at_id ON audit (created_at, id)",
    "CREATE INDEX ix_audit_actor_id_created_at_id ON audit (actor_id, created_at, id)",
    "CREATE INDEX ix_audit_refused ON audit (created_at, id) WHERE outcome = 'REFUSED'",
    """
    CREATE TABLE audit_leaves (
        index BIGINT NOT NULL,
        entity_type TEXT NOT NULL,
        entity_id UUID NOT NULL,
        position INTEGER NOT NULL,
        hash BYTEA NOT NULL,
        CONSTRAINT pk_audit_leaves PRIMARY KEY (index),
        CONSTRAINT uq_audit_leaves_entity_type_entity_id_position UNIQUE (entity_type, entity_id, position)
    )
    """,
    """
    CREATE TABLE audit_nodes (
        level SMALLINT NOT NULL,
        index BIGINT NOT NULL,
        hash BYTEA NOT NULL,
        CONSTRAINT pk_audit_nodes PRIMARY KEY (level, index)
    )
    """,
    """
    CREATE TABLE audit_checkpoints (
        size BIGINT NOT NULL,
        note TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT pk_audit_checkpoints PRIMARY KEY (size)
    )
    """,
    """
    CREATE TABLE audit_log (
        id UUID DEFAULT gen_random_uuid() NOT NULL,
        size BIGINT DEFAULT 0 NOT NULL,
        frontier BYTEA DEFAULT '' NOT NULL,
        transaction_id BIGINT DEFAULT -1 NOT NULL,
        audit_id UUID DEFAULT '00000000-0000-0000-0000-000000000000' NOT NULL,
        continue_from BIGINT,
        stored_size BIGINT DEFAULT 0 NOT NULL,
        CONSTRAINT pk_audit_log PRIMARY KEY (id)
    )
    """,
    "INSERT INTO audit_log DEFAULT VALUES",
    """
    CREATE TABLE audit_verifications (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        requested_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        started_at TIMESTAMP WITH TIME ZONE,
        finished_at TIMESTAMP WITH TIME ZONE,
        result JSONB,
        CONSTRAINT pk_audit_verifications PRIMARY KEY (id)
    )
    """,
    *(
        f"CREATE TRIGGER {table}_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("audit_leaves", "audit_nodes", "audit_checkpoints")
    ),
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
