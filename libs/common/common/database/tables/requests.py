"""The HTTP edge: API keys, idempotency keys, and response times."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from common.database.tables.columns import infrastructure, instant

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

idempotency_keys = Table(
    "idempotency_keys",
    infrastructure,
    # SHA-256 of caller, method and path.
    Column("scope", LargeBinary, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("body", LargeBinary, nullable=False),
    instant("expires_at", nullable=False),
    Index("ix_idempotency_keys_expires_at", "expires_at"),
)

# A histogram of response times per process and slot of some seconds; only buckets that are not empty are stored.
response_times = Table(
    "response_times",
    infrastructure,
    Column("process", Uuid, primary_key=True),
    instant("slot", primary_key=True),
    Column("seconds", Double, nullable=False),
    Column("buckets", ARRAY(Integer), nullable=False),
    Column("counts", ARRAY(Integer), nullable=False),
)
