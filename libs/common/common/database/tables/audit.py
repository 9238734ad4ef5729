"""The audit trail: one hash chain per entity, and the details that can be erased without breaking it."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)

from common.database.tables.columns import APPEND_ONLY, infrastructure, instant

audit = Table(
    "audit",
    infrastructure,
    Column("id", Uuid, primary_key=True),
    Column("entity_type", Text, nullable=False),
    Column("entity_id", Uuid, nullable=False),
    # Counts from 1 without gaps per entity, as the entity's row is locked when a position is assigned.
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

# Free text and personal data of an audit row. The chain holds only their salted digest, so that they can be erased (by
# the owner's login, never by the application's) and the chain still verifies.
audit_details = Table(
    "audit_details",
    infrastructure,
    Column("audit_id", Uuid, ForeignKey("audit.id"), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    # Text, not JSONB: the digest is of exactly these characters.
    Column("details", Text, nullable=False),
    Column("ip_address", Text),
    info=APPEND_ONLY,
)
