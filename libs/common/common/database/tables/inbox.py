"""The inbox: events that were processed, poison records, and the positions of the consumer."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from common.database.tables.columns import infrastructure, instant

inbox = Table(
    "inbox",
    infrastructure,
    Column("consumer", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    instant("received_at", nullable=False, server_default=func.now()),
    Index("ix_inbox_received_at", "received_at"),
)

poison = Table(
    "poison",
    infrastructure,
    Column("id", Uuid, primary_key=True),
    # A record, or a batch that could not be decoded: its bytes are in `value`, and its last offset is `last_offset`.
    Column("kind", Text, nullable=False, server_default=text("'record'")),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("last_offset", BigInteger),
    # SHA-256 of key, value and headers: after Kafka was refilled, an offset belongs to another record.
    Column("digest", LargeBinary, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    # A list of [name, value in base64 or null], in the record's order: header names may repeat.
    Column("headers", JSONB, nullable=False),
    Column("record_time", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'kept'")),
    instant("created_at", nullable=False, server_default=func.now()),
    instant("replayed_at"),
    UniqueConstraint("topic", "partition", "offset", "digest"),
    CheckConstraint("state IN ('kept', 'replayed')", name="state"),
    CheckConstraint("kind IN ('record', 'batch')", name="kind"),
    Index("ix_poison_kept", "created_at", postgresql_where=text("state = 'kept'")),
    Index("ix_poison_replayed", "replayed_at", postgresql_where=text("state = 'replayed'")),
)

# How far the consumer has read each partition, and when it last found nothing newer there (by this database's clock).
consumer_positions = Table(
    "consumer_positions",
    infrastructure,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("lag", BigInteger, nullable=False),
    # The topic's number of partitions, as some may have no row yet. Null: stored by a version before this column.
    Column("partition_count", Integer),
    instant("caught_up_at"),
    instant("reported_at", nullable=False),
)
