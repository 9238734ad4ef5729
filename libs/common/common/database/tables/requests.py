"""The HTTP edge: API keys, idempotency keys, and response times."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from common.database.tables.columns import infrastructure, instant

api_keys = sa.Table(
    "api_keys",
    infrastructure,
    sa.Column("prefix", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("customer_id", sa.Uuid),
    instant("created_at", nullable=False, server_default=sa.func.now()),
    instant("expires_at"),
    instant("revoked_at"),
    # Accurate to a minute: a key that is used all the time has one write a minute (common.access.key_uses).
    instant("last_used_at"),
    # Requests in any 60 seconds per process in place of the setting; 0 means no limit.
    sa.Column("rate_limit", sa.Integer),
    # The person who uses the key, as `sub` of the person's bearer tokens.
    sa.Column("subject", sa.Text),
    sa.CheckConstraint("role IN ('client', 'warehouse', 'payments', 'manager', 'ops')", name="role"),
    sa.CheckConstraint("rate_limit >= 0", name="rate_limit"),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    infrastructure,
    # SHA-256 of caller, method and path.
    sa.Column("scope", sa.LargeBinary, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.SmallInteger, nullable=False),
    sa.Column("headers", JSONB, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    instant("expires_at", nullable=False),
    sa.Index("ix_idempotency_keys_expires_at", "expires_at"),
)

# What the processes of a service have leased of each client's rate limit: numbers, and until when they count. Unlogged:
# it is written often, and its loss in a crash of the server only forgets the last minute.
rate_limit_leases = sa.Table(
    "rate_limit_leases",
    infrastructure,
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("ends", ARRAY(sa.DateTime(timezone=True)), nullable=False),
    sa.Column("counts", ARRAY(sa.Integer), nullable=False),
    sa.Column("granted", sa.Integer, nullable=False),
    instant("expires_at", nullable=False),
    prefixes=["UNLOGGED"],
)

# A histogram of response times per process and slot of some seconds; only buckets that are not empty are stored.
response_times = sa.Table(
    "response_times",
    infrastructure,
    sa.Column("process", sa.Uuid, primary_key=True),
    instant("slot", primary_key=True),
    sa.Column("seconds", sa.Double, nullable=False),
    sa.Column("buckets", ARRAY(sa.Integer), nullable=False),
    sa.Column("counts", ARRAY(sa.Integer), nullable=False),
)
