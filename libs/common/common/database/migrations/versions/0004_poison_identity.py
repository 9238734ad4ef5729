"""Identify a poison record by its offset and its content, and store batches that cannot be decoded as poison too.

The table is locked while the digests of its rows are computed, about a second for 100,000 rows. From then on consumers
of the previous version cannot store a poison record: they exit without committing its offset, and nothing is lost.
"""

from alembic import op

revision = "0004_poison_identity"
down_revision = "0003_outbox_pending"
branch_labels = None
depends_on = None

# `common.messaging.incoming.poison.digest` in SQL.
COMPUTE_DIGEST = """
UPDATE poison SET digest = sha256(
    int4send(coalesce(octet_length(key), -1)) || coalesce(key, '')
    || int4send(coalesce(octet_length(value), -1)) || coalesce(value, '')
    || coalesce(
        (
            SELECT string_agg(
                int4send(octet_length(header.name)) || header.name
                || int4send(coalesce(octet_length(header.value), -1)) || coalesce(header.value, ''),
                '' ORDER BY header.place
            )
            FROM (
                SELECT convert_to(item ->> 0, 'UTF8') AS name, decode(item ->> 1, 'base64') AS value, place
                FROM jsonb_array_elements(headers) WITH ORDINALITY AS each (item, place)
            ) AS header
        ),
        ''
    )
)
"""

STATEMENTS = (
    """
    ALTER TABLE poison
        ADD COLUMN kind TEXT DEFAULT 'record' NOT NULL,
        ADD COLUMN last_offset BIGINT,
        ADD COLUMN digest BYTEA,
        ADD CONSTRAINT ck_poison_kind CHECK (kind IN ('record', 'batch'))
    """,
    COMPUTE_DIGEST,
    """
    ALTER TABLE poison
        ALTER COLUMN digest SET NOT NULL,
        DROP CONSTRAINT uq_poison_topic_partition_offset,
        ADD CONSTRAINT uq_poison_topic_partition_offset_digest UNIQUE (topic, partition, "offset", digest)
    """,
    "ALTER TABLE consumer_positions ADD COLUMN partition_count INTEGER",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
