"""The outbox: events to be published, their state, and the leases of the relays."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from common.database.tables.columns import infrastructure, instant

# Columns id, aggregatetype, aggregateid, type and payload have Debezium's names, so that change data capture can
# replace the relay. `position` is the order in which rows of one key were committed, as the key's row lock is held.
# Rows are never updated, and deleted when they are old; their state is in the tables below.
outbox = Table(
    "outbox",
    infrastructure,
    Column("position", BigInteger, Identity(always=True), primary_key=True),
    Column("id", Uuid, nullable=False, unique=True),
    Column("aggregatetype", Text, nullable=False),
    Column("aggregateid", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    # Only a restore raises it, by changing this default: consumers compare (epoch, sequence).
    Column("epoch", Integer, nullable=False, server_default=text("1")),
    Column("causation_id", Text),
    Column("traceparent", Text, nullable=False),
    Column("headers", JSONB),
    # The event's time. It never decreases within a key, as it is read under the key's lock; now() would be the start of
    # a transaction that may have waited for that lock.
    instant("created_at", nullable=False, server_default=func.clock_timestamp()),
    UniqueConstraint("topic", "key", "epoch", "sequence"),
    CheckConstraint("octet_length(payload) <= 900000", name="payload_fits_kafka"),
    Index("ix_outbox_created_at", "created_at"),
)

# The outbox rows that Kafka has not acknowledged. To delete such a row of three numbers costs a tenth of an UPDATE of
# the event's row (ADR 4). `hold` is 0 for a row to be published now; otherwise it is the id in `outbox_holds` of the
# partition that the row waits for. The index begins with it, so that reading the next rows never reads rows that wait,
# however many they are (ADR 18).
outbox_pending = Table(
    "outbox_pending",
    infrastructure,
    Column("position", BigInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("hold", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("hold", "position"),
)

# Partitions that events had to wait for; -1 is a whole topic. Which of them are unavailable now is known only to the
# relay's process.
outbox_holds = Table(
    "outbox_holds",
    infrastructure,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    UniqueConstraint("topic", "partition"),
)

# The rows that Kafka rejects permanently; later rows of the same key wait in `outbox_pending`.
outbox_parked = Table(
    "outbox_parked",
    infrastructure,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("lane", SmallInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("error", Text, nullable=False),
    instant("parked_at", nullable=False, server_default=func.now()),
    Index("ix_outbox_parked_topic_key", "topic", "key"),
)

# The last sequence of each topic and key whose aggregate has no counter of its own.
event_streams = Table(
    "event_streams",
    infrastructure,
    Column("topic", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    # The time of the last event, so that the next event's time is not before it.
    instant("last_at", nullable=False, server_default=func.clock_timestamp()),
)

relay_lanes = Table(
    "relay_lanes",
    infrastructure,
    Column("lane", SmallInteger, primary_key=True),
    Column("owner", Text),
    Column("token", BigInteger, nullable=False, server_default=text("0")),
    instant("leased_until"),
)

# The running relays, so that each leases its share of the lanes.
relays = Table(
    "relays",
    infrastructure,
    Column("owner", Text, primary_key=True),
    instant("active_until", nullable=False),
)
