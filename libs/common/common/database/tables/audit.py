"""The audit trail: one hash chain per entity, and the details that can be erased without breaking it."""

import sqlalchemy as sa

from common.database.tables.columns import APPEND_ONLY, infrastructure, instant

_TRANSACTION_ID = sa.text("pg_current_xact_id()::text::bigint")

audit = sa.Table(
    "audit",
    infrastructure,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("entity_type", sa.Text, nullable=False),
    sa.Column("entity_id", sa.Uuid, nullable=False),
    # Counts from 1 without gaps per entity, as the entity's row is locked when a position is assigned.
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("previous_state", sa.Text),
    sa.Column("new_state", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("actor_id", sa.Text),
    sa.Column("actor_type", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    instant("created_at", nullable=False),
    sa.Column("details_digest", sa.LargeBinary, nullable=False),
    sa.Column("previous_hash", sa.LargeBinary, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    # The number of the inserting transaction, by which the sealer finds new rows (ADR 33). In no hash: a copy of the
    # database in another cluster counts its transactions anew.
    sa.Column("transaction_id", sa.BigInteger, server_default=_TRANSACTION_ID, nullable=False),
    sa.UniqueConstraint("entity_type", "entity_id", "position"),
    sa.Index("ix_audit_transaction_id_id", "transaction_id", "id"),
    sa.Index("ix_audit_created_at_id", "created_at", "id"),
    sa.Index("ix_audit_actor_id_created_at_id", "actor_id", "created_at", "id"),
    sa.Index("ix_audit_refused", "created_at", "id", postgresql_where=sa.text("outcome = 'REFUSED'")),
    sa.CheckConstraint("outcome IN ('ACCEPTED', 'REFUSED')", name="outcome"),
    sa.CheckConstraint("actor_type IN ('USER', 'SYSTEM')", name="actor_type"),
    sa.CheckConstraint("trigger IN ('API_CALL', 'EVENT', 'BACKGROUND_JOB')", name="trigger"),
    info=APPEND_ONLY,
)

# Free text and personal data of an audit row. The chain holds only their salted digest, so that they can be erased (by
# the owner's login, never by the application's) and the chain still verifies.
audit_details = sa.Table(
    "audit_details",
    infrastructure,
    sa.Column("audit_id", sa.Uuid, sa.ForeignKey("audit.id"), primary_key=True),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    # Text, not JSONB: the digest is of exactly these characters.
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("ip_address", sa.Text),
    info=APPEND_ONLY,
)
