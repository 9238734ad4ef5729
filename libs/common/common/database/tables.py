"""The tables that every service's database has beside its own: outbox, inbox, jobs, audit and the keys to the door."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# A table marked append-only is granted SELECT and INSERT only to the application's login (see grants.py), and its
# migration adds triggers against UPDATE, DELETE and TRUNCATE.
APPEND_ONLY = {"append_only": True}

infrastructure = MetaData(naming_convention=NAMING_CONVENTION)


def instant(name: str, **options: Any) -> Column[Any]:
    """A point in time, stored in UTC."""
    return Column(name, DateTime(timezone=True), **options)


# Columns id, aggregatetype, aggregateid, type and payload carry Debezium's names, so that change data capture can take
# the relay's place. `position` is the order in which rows of one key were committed: the key's row lock is held then.
# What became of a row is not written here: rows are never changed, and deleted when they are old.
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
    # Raised only by a restore, which changes this default: consumers compare (epoch, sequence).
    Column("epoch", Integer, nullable=False, server_default=text("1")),
    Column("causation_id", Text),
    Column("traceparent", Text, nullable=False),
    Column("headers", JSONB),
    # The event's time, which never goes back within a key: it is taken under the key's lock. now() would be the
    # beginning of a transaction that may have waited for that lock.
    instant("created_at", nullable=False, server_default=func.clock_timestamp()),
    UniqueConstraint("topic", "key", "epoch", "sequence"),
    CheckConstraint("octet_length(payload) <= 900000", name="payload_fits_kafka"),
    Index("ix_outbox_created_at", "created_at"),
)

# The rows of the outbox that Kafka has not acknowledged. To delete a row of three numbers costs a tenth of writing an
# event anew as published, and the commands pay next to nothing for it (ADR 4). `hold` is 0 for a row that is to be sent
# now, or names the partition that the row waits for. The index begins with it, so that rows that wait are never read
# with those that are next, however many they are (ADR 18).
outbox_pending = Table(
    "outbox_pending",
    infrastructure,
    Column("position", BigInteger, nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("hold", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("hold", "position"),
)

# Partitions that events had to wait for; -1 is a whole topic. A relay keeps in memory which of them it holds back now.
outbox_holds = Table(
    "outbox_holds",
    infrastructure,
    Column("id", Integer, Identity(always=True), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    UniqueConstraint("topic", "partition"),
)

# The rows that Kafka refuses for good; the later ones of their keys wait in `outbox_pending`.
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

# The last sequence given out for a topic and key whose aggregate keeps no counter of its own.
event_streams = Table(
    "event_streams",
    infrastructure,
    Column("topic", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    # The time of the last event, so that the next one's is not before it.
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

# Which relays are at work, so that each takes its share of the lanes and no more.
relays = Table(
    "relays",
    infrastructure,
    Column("owner", Text, primary_key=True),
    instant("active_until", nullable=False),
)

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
    # A record, or a batch that could not be decoded: its bytes are in `value`, and it ends at `last_offset`.
    Column("kind", Text, nullable=False, server_default=text("'record'")),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("last_offset", BigInteger),
    # SHA-256 of key, value and headers: a place in Kafka has another record after Kafka was filled again.
    Column("digest", LargeBinary, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    # A list of [name, value in base64 or null], in the order of the record: header names may repeat.
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

# How far a consumer has read a partition, and when it last saw that nothing newer was there (by this database's clock).
consumer_positions = Table(
    "consumer_positions",
    infrastructure,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("lag", BigInteger, nullable=False),
    # How many partitions the topic has: not each of them has a row yet. Null: told by a version from before.
    Column("partition_count", Integer),
    instant("caught_up_at"),
    instant("reported_at", nullable=False),
)

jobs = Table(
    "jobs",
    infrastructure,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("business_key", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default=text("'ready'")),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # How often a worker died or stopped answering with the job in hand.
    Column("abandoned", Integer, nullable=False, server_default=text("0")),
    # How often the database ended an attempt; such an attempt is no failure of the job.
    Column("set_backs", Integer, nullable=False, server_default=text("0")),
    instant("due_at", nullable=False, server_default=func.now()),
    # Rises with every claim; a write that names an older token is refused (a paused worker that wakes up too late).
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    instant("leased_until"),
    Column("causation_id", Text),
    Column("traceparent", Text, nullable=False),
    Column("last_error", Text),
    # What the outside work came to: written before anything else, and the work is never done again.
    Column("result", JSONB(none_as_null=True)),
    # Why there will be no further try, while what follows that is still to be written.
    Column("given_up", Text),
    instant("created_at", nullable=False, server_default=func.now()),
    instant("finished_at"),
    UniqueConstraint("kind", "business_key"),
    CheckConstraint("state IN ('ready', 'running', 'done', 'dead')", name="state"),
    Index("ix_jobs_ready", "kind", "due_at", postgresql_where=text("state = 'ready'")),
    Index("ix_jobs_running", "leased_until", postgresql_where=text("state = 'running'")),
    Index("ix_jobs_done", "finished_at", postgresql_where=text("state = 'done'")),
    Index("ix_jobs_dead", "finished_at", postgresql_where=text("state = 'dead'")),
)

job_attempts = Table(
    "job_attempts",
    infrastructure,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    instant("started_at", nullable=False, server_default=func.now()),
    instant("finished_at"),
    # Null while it runs; stays so when its worker died: then nobody knows how far it came.
    Column("outcome", Text),
    Column("error", Text),
    CheckConstraint("outcome IN ('succeeded', 'failed', 'abandoned', 'handed_back')", name="outcome"),
)

audit = Table(
    "audit",
    infrastructure,
    Column("id", Uuid, primary_key=True),
    Column("entity_type", Text, nullable=False),
    Column("entity_id", Uuid, nullable=False),
    # Counts from 1 without gaps per entity: the entity's row lock is held when it is given out.
    Column("position", Integer, nullable=False),
    Column("previous_state", Text),
    Column("new_state", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("actor_id", Text),
    Column("actor_type", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    instant("created_at", nullable=False),
    Column("details_digest", LargeBinary, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("entity_type", "entity_id", "position"),
    CheckConstraint("outcome IN ('ACCEPTED', 'REFUSED')", name="outcome"),
    CheckConstraint("actor_type IN ('USER', 'SYSTEM')", name="actor_type"),
    CheckConstraint("trigger IN ('API_CALL', 'EVENT', 'BACKGROUND_JOB')", name="trigger"),
    info=APPEND_ONLY,
)

# Free text and personal data of an audit row. The chain holds only their salted digest, so that they can be erased
# (by the owner's login; never by the application's) and the chain still verifies.
audit_details = Table(
    "audit_details",
    infrastructure,
    Column("audit_id", Uuid, ForeignKey("audit.id"), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    # Text, not JSONB: the digest is over these very characters.
    Column("details", Text, nullable=False),
    Column("ip_address", Text),
    info=APPEND_ONLY,
)

idempotency_keys = Table(
    "idempotency_keys",
    infrastructure,
    # SHA-256 over caller, method and path.
    Column("scope", LargeBinary, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    instant("expires_at", nullable=False),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)

# How long requests took, by process and slot of some seconds: a histogram of the buckets that are not empty.
response_times = Table(
    "response_times",
    infrastructure,
    Column("process", Uuid, primary_key=True),
    instant("slot", primary_key=True),
    Column("seconds", Double, nullable=False),
    Column("buckets", ARRAY(Integer), nullable=False),
    Column("counts", ARRAY(Integer), nullable=False),
)

api_keys = Table(
    "api_keys",
    infrastructure,
    Column("prefix", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("role", Text, nullable=False),
    Column("customer_id", Uuid),
    instant("created_at", nullable=False, server_default=func.now()),
    instant("expires_at"),
    instant("revoked_at"),
    CheckConstraint("role IN ('client', 'warehouse', 'payments', 'manager', 'ops')", name="role"),
)
