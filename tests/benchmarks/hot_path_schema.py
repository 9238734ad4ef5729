"""The tables of the hot-path benchmark; `python -m benchmarks.hot_path_schema <dsn>` creates them."""

import asyncio
import sys

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import create_async_engine

metadata = MetaData()
TIME = DateTime(timezone=True)
MONEY = Numeric(15, 3)

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_number", String(20), unique=True, nullable=False),
    Column("customer_id", Uuid, nullable=False, index=True),
    Column("customer_email", String(255)),
    Column("status", String(30), nullable=False),
    Column("total_amount", MONEY, nullable=False),
    Column("tax_amount", MONEY, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("payment_method", String(50), nullable=False),
    Column("payment_transaction_id", String(255)),
    Column("shipping_address", JSONB, nullable=False),
    Column("billing_address", JSONB, nullable=False),
    Column("refund_status", String(10), nullable=False),
    Column("tracking_number", String(100)),
    Column("carrier", String(100)),
    Column("shipped_at", TIME),
    Column("delivered_at", TIME),
    Column("created_at", TIME, nullable=False),
    Column("updated_at", TIME, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("audit_number", Integer, nullable=False),
    Column("audit_head", LargeBinary, nullable=False),
    Index("orders_by_status", "status", "created_at"),
)
order_lines = Table(
    "order_lines",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", ForeignKey(orders.c.id), nullable=False, index=True),
    Column("position", SmallInteger, nullable=False),
    Column("product_id", Uuid, nullable=False),
    Column("product_name", String(255), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", MONEY, nullable=False),
    Column("tax_rate", Numeric(5, 2), nullable=False),
    Column("subtotal", MONEY, nullable=False),
    Column("created_at", TIME, nullable=False),
)
order_audit = Table(
    "order_audit",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("entity_id", Uuid, nullable=False),
    Column("number", Integer, nullable=False),
    Column("previous_state", String(30)),
    Column("new_state", String(30), nullable=False),
    Column("actor_id", String(100)),
    Column("metadata", JSONB, nullable=False),
    Column("created_at", TIME, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    UniqueConstraint("entity_id", "number"),
)
outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("aggregatetype", String(50), nullable=False),
    Column("aggregateid", String(50), nullable=False),
    Column("type", String(100), nullable=False),
    Column("lane", SmallInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("headers", JSONB, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=func.now()),
    Column("published_at", TIME),
)
Index("outbox_pending", outbox.c.lane, outbox.c.sequence, postgresql_where=outbox.c.published_at.is_(None))
idempotency_answers = Table(
    "idempotency_answers",
    metadata,
    Column("scope", String(500), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_digest", LargeBinary, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", TIME, nullable=False, server_default=func.now()),
)


async def create(dsn: str) -> None:
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(create(sys.argv[1]))
