"""The tables of returns, in addition to those that every service has (common.database.tables)."""

import sqlalchemy as sa
from common.aggregates.counts import StatusCounts
from common.aggregates.event_counter import EventCounter
from common.aggregates.notes import Notes
from common.database.tables import NAMING_CONVENTION, instant
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR

from returns.domain.return_ import ReturnStatus

metadata = sa.MetaData(naming_convention=NAMING_CONVENTION)

# The name of a return in the audit trail.
ENTITY = "RETURN"
# Unique: of an owner, no two returns have one external id.
EXTERNAL_ID_INDEX = "uq_returns_external_id"

# All that must be current under the row's lock is in the row: status, version, the last event's sequence, and the head
# of the audit chain. An order has at most one return, so its sequence is that of the topic and key.
returns = sa.Table(
    "returns",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("order_id", sa.Uuid, nullable=False, unique=True),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("customer_email", sa.Text),
    sa.Column("customer_name", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("customer_notes", sa.Text),
    sa.Column("manager_notes", sa.Text),
    sa.Column("rejection_reason", sa.Text),
    # No currency has more than four decimals.
    sa.Column("refund_amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("payment_reference", sa.Text, nullable=False),
    sa.Column("refund_status", sa.Text, nullable=False),
    sa.Column("refund_transaction_id", sa.Text),
    # Of the refund event from which the two columns above are: only a newer one is stored.
    sa.Column("refund_epoch", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("refund_sequence", sa.BigInteger, nullable=False, server_default=sa.text("0")),
    instant("created_at", nullable=False),
    instant("updated_at", nullable=False),
    instant("approved_at"),
    instant("rejected_at"),
    instant("completed_at"),
    # The client's own id of the return. Its owner is the customer, or a caller who acts for many (ADR 25).
    sa.Column("external_id", sa.Text),
    sa.Column("external_id_owner", sa.Uuid),
    sa.Column("metadata", JSONB),
    # Who opened it may not decide about it; an approval is there before the return is approved where two are needed.
    sa.Column("opened_by", sa.Uuid),
    sa.Column("approvals", JSONB),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    sa.Column("audit_position", sa.Integer, nullable=False),
    sa.Column("audit_hash", sa.LargeBinary, nullable=False),
    sa.CheckConstraint(
        "status IN ('REQUESTED', 'APPROVED', 'REJECTED', 'IN_TRANSIT', 'RECEIVED', 'COMPLETED')", name="status"
    ),
    sa.CheckConstraint(
        "rejection_reason IN ('damage_not_covered', 'policy_violation', 'outside_window', 'fraudulent')",
        name="rejection_reason",
    ),
    sa.CheckConstraint(
        "refund_status IN ('NONE', 'PENDING', 'PROCESSING', 'SUCCEEDED', 'FAILED', 'REVERSED')", name="refund_status"
    ),
    sa.CheckConstraint("(refund_status <> 'NONE') = (status = 'COMPLETED')", name="refunded_once_completed"),
    sa.CheckConstraint("refund_amount > 0", name="refund_amount_positive"),
    # By id first, as staff searches without an owner. Returns without an external id have no entry.
    sa.Index(
        EXTERNAL_ID_INDEX,
        "external_id",
        "external_id_owner",
        unique=True,
        postgresql_where=sa.text("external_id IS NOT NULL"),
    ),
    sa.Index("ix_returns_newest", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_returns_status_newest", "status", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_returns_customer_id_newest", "customer_id", sa.text("created_at DESC"), sa.text("id DESC")),
    sa.Index("ix_returns_updated_at", "updated_at", "id"),
    sa.Index("ix_returns_refund_amount", "refund_amount", "id", postgresql_include=["created_at"]),
)

# A copy of orders, from their events; (epoch, sequence) are those of the row's event.
known_orders = sa.Table(
    "known_orders",
    metadata,
    sa.Column("order_id", sa.Uuid, primary_key=True),
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Uuid, nullable=False),
    sa.Column("customer_email", sa.Text),
    sa.Column("customer_name", sa.Text),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("total_amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("captured_amount", sa.Numeric(19, 4)),
    sa.Column("payment_reference", sa.Text),
    instant("delivered_at"),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("sequence", sa.BigInteger, nullable=False),
    # An event that violates it is stored as poison.
    sa.CheckConstraint(
        "status <> 'DELIVERED' OR (delivered_at IS NOT NULL AND payment_reference IS NOT NULL)",
        name="delivered_means_paid",
    ),
)

return_notes = Notes("return", "returns", metadata)

# The words by which a return is found: its number, and the customer's name and e-mail. A trigger writes them.
return_search = sa.Table(
    "return_search",
    metadata,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("terms", TSVECTOR, nullable=False),
    sa.Index("ix_return_search_terms", "terms", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
)

return_counts = StatusCounts("return", ReturnStatus, metadata)
return_events = EventCounter(returns.c.order_id)
