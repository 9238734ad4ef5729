"""The inbox: events that were processed, poison records, and the positions of the consumer."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from common.database.tables.columns import infrastructure, instant

inbox = sa.Table(
    "inbox",
    infrastructure,
    sa.Column("consumer", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    instant("received_at", nullable=False, server_default=sa.func.now()),
    sa.Index("ix_inbox_received_at", "received_at"),
)

poison = sa.Table(
    "poison",
    infrastructure,
    sa.Column("id", sa.Uuid, primary_key=True),
    # A record, or a batch that could not be decoded: its bytes are in `value`, and its last offset is `last_offset`.
    sa.Column("kind", sa.Text, nullable=False, server_default=sa.text("'record'")),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("last_offset", sa.BigInteger),
    # SHA-256 of key, value and headers: after Kafka was refilled, an offset belongs to another record.
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("key", sa.LargeBinary),
    sa.Column("value", sa.LargeBinary),
    # A list of [name, value in base64 or null], in the record's order: header names may repeat.
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("record_time", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    # The error without what differs between occurrences; empty where a version before this column stored it.
    sa.Column("cause", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'kept'")),
    instant("created_at", nullable=False, server_default=sa.func.now()),
    instant("replayed_at"),
    instant("discarded_at"),
    sa.Column("discarded_reason", sa.Text),
    sa.Column("discarded_by", sa.Text),
    sa.UniqueConstraint("topic", "partition", "offset", "digest"),
    sa.CheckConstraint("state IN ('kept', 'replayed', 'discarded')", name="state"),
    sa.CheckConstraint("kind IN ('record', 'batch')", name="kind"),
    # By hash, as a key may be longer than an entry of a sorted index.
    sa.Index("ix_poison_key", "key", postgresql_using="hash"),
    sa.Index("ix_poison_kept", "created_at", postgresql_where=sa.text("state = 'kept'")),
    sa.Index("ix_poison_discarded", "discarded_at", postgresql_where=sa.text("state = 'discarded'")),
    sa.Index("ix_poison_replayed", "replayed_at", postgresql_where=sa.text("state = 'replayed'")),
)

# How far the consumer has read each partition, and when it last found nothing newer there (by this database's clock).
consumer_positions = sa.Table(
    "consumer_positions",
    infrastructure,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("lag", sa.BigInteger, nullable=False),
    # The topic's number of partitions, as some may have no row yet. Null: stored by a version before this column.
    sa.Column("partition_count", sa.Integer),
    instant("caught_up_at"),
    instant("reported_at", nullable=False),
)
