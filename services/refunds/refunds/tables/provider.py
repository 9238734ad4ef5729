"""The tables of the provider's events, refunds and disputes (ADR 36)."""

import sqlalchemy as sa
from common.database.tables import instant
from sqlalchemy.dialects.postgresql import JSONB

from refunds.tables.schema import metadata

# The events of the provider, received by webhook or sweep; each event is stored once. One that comes again after its
# row was purged is applied again, which changes nothing: the tables below keep the furthest status.
provider_events = sa.Table(
    "provider_events",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("event", JSONB, nullable=False),
    # As it was signed; null for an event that a sweep found.
    sa.Column("body", sa.LargeBinary),
    instant("received_at", nullable=False, server_default=sa.func.now(), index=True),
    # Null until its effects are committed, or its payment did not come in time. By the default, what the version before
    # this column has received counts as applied.
    instant("applied_at", server_default=sa.func.now()),
    sa.Index("ix_provider_events_unapplied", "received_at", postgresql_where=sa.text("applied_at IS NULL")),
)

# Refunds at the provider as its events describe them: the furthest status, whatever the order of the events.
gateway_refunds = sa.Table(
    "gateway_refunds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("payment_reference", sa.Text, nullable=False, index=True),
    # The other id of a payment that the book does not have yet; null once it has the payment.
    sa.Column("payment_alias", sa.Text),
    # Ours, or null for a refund that was made by hand.
    sa.Column("reference", sa.Text),
    sa.Column("amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    instant("created_at", nullable=False),
    sa.CheckConstraint("status IN ('PENDING', 'SUCCEEDED', 'FAILED')", name="status"),
    sa.Index(
        "ix_gateway_refunds_payment_alias", "payment_alias", postgresql_where=sa.text("payment_alias IS NOT NULL")
    ),
)

# Payments that the customer's bank reclaims or has reclaimed.
payment_disputes = sa.Table(
    "payment_disputes",
    metadata,
    sa.Column("dispute_id", sa.Text, primary_key=True),
    sa.Column("payment_reference", sa.Text, nullable=False, index=True),
    # As of a refund.
    sa.Column("payment_alias", sa.Text),
    sa.Column("amount", sa.Numeric(19, 4), nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    instant("changed_at", nullable=False, server_default=sa.func.now()),
    sa.CheckConstraint("status IN ('OPENED', 'WON', 'LOST')", name="status"),
    sa.Index(
        "ix_payment_disputes_payment_alias", "payment_alias", postgresql_where=sa.text("payment_alias IS NOT NULL")
    ),
)

# How far a sweep has read the provider's events.
gateway_sweeps = sa.Table(
    "gateway_sweeps",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("cursor", sa.Text),
    instant("swept_at", nullable=False),
)
