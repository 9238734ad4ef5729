"""The outbox: events to be published, their state, and the leases of the relays."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from common.database.tables.columns import infrastructure, instant

# Columns id, aggregatetype, aggregateid, type and payload have Debezium's names, so that change data capture can
# replace the relay. `position` is the order in which rows of one key were committed, as the key's row lock is held.
# Rows are never updated, and deleted when they are old; their state is in the tables below.
outbox = sa.Table(
    "outbox",
    infrastructure,
    sa.Column("position", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("id", sa.Uuid, nullable=False, unique=True),
    sa.Column("aggregatetype", sa.Text, nullable=False),
    sa.Column("aggregateid", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    # Only a restore raises it, by changing this default: consumers compare (epoch, sequence).
    sa.Column("epoch", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column("causation_id", sa.Text),
    sa.Column("traceparent", sa.Text, nullable=False),
    sa.Column("headers", JSONB),
    # The event's time. It never decreases within a key, as it is read under the key's lock; now() would be the start of
    # a transaction that may have waited for that lock.
    instant("created_at", nullable=False, server_default=sa.func.clock_timestamp()),
    sa.UniqueConstraint("topic", "key", "epoch", "sequence"),
    sa.CheckConstraint("octet_length(payload) <= 900000", name="payload_fits_kafka"),
    sa.Index("ix_outbox_created_at", "created_at"),
)

# The outbox rows that Kafka has not acknowledged. To delete such a row of three numbers costs a tenth of an UPDATE of
# the event's row (ADR 4). `hold` is 0 for a row to be published now; otherwise it is the id in `outbox_holds` of the
# partition that the row waits for. The index begins with it, so that reading the next rows never reads rows that wait,
# however many they are (ADR 18).
outbox_pending = sa.Table(
    "outbox_pending",
    infrastructure,
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("lane", sa.SmallInteger, nullable=False),
    sa.Column("hold", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.PrimaryKeyConstraint("hold", "position"),
)

# Partitions that events had to wait for; -1 is a whole topic. Which of them are unavailable now is known only to the
# relay's process.
outbox_holds = sa.Table(
    "outbox_holds",
    infrastructure,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.UniqueConstraint("topic", "partition"),
)

# The rows that Kafka rejects permanently; later rows of the same key wait in `outbox_pending`.
outbox_parked = sa.Table(
    "outbox_parked",
    infrastructure,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("lane", sa.SmallInteger, nullable=False),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    instant("parked_at", nullable=False, server_default=sa.func.now()),
    sa.Index("ix_outbox_parked_topic_key", "topic", "key"),
)

# The last sequence of each topic and key whose aggregate has no counter of its own.
event_streams = sa.Table(
    "event_streams",
    infrastructure,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    # The time of the last event, so that the next event's time is not before it.
    instant("last_at", nullable=False, server_default=sa.func.clock_timestamp()),
)

relay_lanes = sa.Table(
    "relay_lanes",
    infrastructure,
    sa.Column("lane", sa.SmallInteger, primary_key=True),
    sa.Column("owner", sa.Text),
    sa.Column("token", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    instant("leased_until"),
)

# The running relays, so that each leases its share of the lanes.
relays = sa.Table(
    "relays",
    infrastructure,
    sa.Column("owner", sa.Text, primary_key=True),
    instant("active_until", nullable=False),
)
