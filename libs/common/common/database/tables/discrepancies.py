"""Discrepancies: what the reconciler found, since when, and what became of it."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from common.database.tables.columns import infrastructure, instant

discrepancies = sa.Table(
    "discrepancies",
    infrastructure,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("check", sa.Text, nullable=False),
    # What the check found to be wrong; within a check it is open once.
    sa.Column("subject", sa.Text, nullable=False),
    # The record key of the event.
    sa.Column("key", sa.Text),
    sa.Column("details", JSONB, nullable=False),
    # The names of those details that change while it stays the same discrepancy, such as a count.
    sa.Column("volatile_details", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'")),
    instant("first_seen", nullable=False, server_default=sa.func.now()),
    instant("last_seen", nullable=False, server_default=sa.func.now()),
    sa.Column("occurrences", sa.Integer, nullable=False, server_default=sa.text("1")),
    sa.Column("repairs", sa.Integer, nullable=False, server_default=sa.text("0")),
    instant("repaired_at"),
    sa.Column("repair_error", sa.Text),
    # A person knows of it and has decided: it is not reported while its details stay the same.
    instant("acknowledged_at"),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("acknowledged_reason", sa.Text),
    # Set once a later round does not find it any more.
    instant("resolved_at"),
    sa.Index("uq_discrepancies_open", "check", "subject", unique=True, postgresql_where=sa.text("resolved_at IS NULL")),
    sa.Index(
        "ix_discrepancies_open_key", "key", postgresql_using="hash", postgresql_where=sa.text("resolved_at IS NULL")
    ),
    sa.Index("ix_discrepancies_newest", sa.text("first_seen DESC"), "id"),
    sa.Index("ix_discrepancies_resolved_at", "resolved_at", postgresql_where=sa.text("resolved_at IS NOT NULL")),
)
