"""The variants of running the statements: a class for each, with the methods `ship` and `read`."""

import hashlib
from typing import Any, Self, cast
from uuid import UUID

import asyncpg
from benchmarks import hot_path_statements as sql
from benchmarks.hot_path_order import decode_json, document, encode_event, encode_response, ship
from common.database.statements import Connection, prepare, prepare_connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POOL_SIZE = 16
Document = dict[str, Any]


async def skip_reset(_: Connection) -> None:
    """Replace asyncpg's reset at each release, which is a round trip of four statements that is not needed here."""


class Raw:
    """asyncpg and SQL text; separate statements in one transaction."""

    reset: Any = staticmethod(skip_reset)

    async def open(self, dsn: str) -> Self:
        self.pool = await asyncpg.create_pool(
            dsn, min_size=POOL_SIZE, max_size=POOL_SIZE, init=prepare_connection, reset=self.reset, max_queries=10**9
        )
        return self

    async def close(self) -> None:
        await self.pool.close()

    async def ship(self, order_id: UUID, tracking_number: str | None, carrier: str | None) -> Document:
        async with self.pool.acquire() as connection, connection.transaction():
            return await self.ship_in(connection, order_id, tracking_number, carrier)

    async def ship_in(
        self, connection: Connection, order_id: UUID, tracking_number: str | None, carrier: str | None
    ) -> Document:
        row = await connection.fetchrow(sql.LOCK_ORDER, order_id)
        assert row is not None
        lines = await connection.fetch(sql.READ_LINES, order_id)
        parameters, shipped = ship(dict(row), [dict(line) for line in lines], tracking_number, carrier)
        await connection.execute(
            sql.UPDATE_ORDER,
            *(order_id, parameters["new_state"], tracking_number, carrier, parameters["now"]),
            *(parameters["version"], parameters["sequence"], parameters["audit_number"], parameters["digest"]),
        )
        await connection.execute(
            sql.INSERT_AUDIT,
            *(order_id, parameters["audit_number"], parameters["now"], parameters["digest"]),
            *(parameters["previous_state"], parameters["new_state"], parameters["actor_id"], parameters["metadata"]),
        )
        await connection.execute(
            sql.INSERT_OUTBOX,
            *(
                parameters["event_id"],
                parameters["aggregate_id"],
                parameters["lane"],
                parameters["sequence"],
                parameters["payload"],
                parameters["headers"],
            ),
        )
        return shipped

    async def ship_once(
        self, order_id: UUID, tracking_number: str | None, carrier: str | None, scope: str, key: str, body: bytes
    ) -> bytes:
        """As `ship`, but store the response for the idempotency key, and return it for a repeated request."""
        async with self.pool.acquire() as connection, connection.transaction():
            row = await connection.fetchrow(sql.FIND_RESPONSE, scope, key)
            assert row is not None
            is_locked, stored = row
            assert is_locked
            if stored is not None:
                return cast(bytes, stored)
            response = encode_response(await self.ship_in(connection, order_id, tracking_number, carrier))
            await connection.execute(sql.INSERT_RESPONSE, scope, key, hashlib.sha256(body).digest(), 200, response)
            return response

    async def read(self, order_id: UUID) -> Document:
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(sql.READ_ORDER, order_id)
        assert row is not None
        return document(dict(row), row["lines"])


class Text(Raw):
    """asyncpg and SQL text; one statement locks the order and reads its lines, one writes everything."""

    async def ship_in(
        self, connection: Connection, order_id: UUID, tracking_number: str | None, carrier: str | None
    ) -> Document:
        row = await connection.fetchrow(sql.LOCK_ORDER_WITH_LINES, order_id)
        assert row is not None
        parameters, shipped = ship(dict(row), row["lines"], tracking_number, carrier)
        await connection.execute(sql.WRITE_SHIPPED, *[parameters[name] for name in sql.PARAMETER_NAMES])
        return shipped


class Optimistic(Raw):
    """Two round trips without a lock: read, then one statement that writes if the version has not changed."""

    async def ship(self, order_id: UUID, tracking_number: str | None, carrier: str | None) -> Document:
        async with self.pool.acquire() as connection:
            while True:
                row = await connection.fetchrow(sql.LOCK_ORDER_WITH_LINES.removesuffix(" FOR UPDATE"), order_id)
                assert row is not None
                parameters, shipped = ship(dict(row), row["lines"], tracking_number, carrier)
                arguments = [parameters[name] for name in sql.PARAMETER_NAMES]
                if await connection.execute(sql.WRITE_SHIPPED_IF_UNCHANGED, *arguments) == "INSERT 0 1":
                    return shipped


class Prepared(Raw):
    """As `Text`, with statements written in SQLAlchemy Core and compiled once."""

    lock = prepare(sql.lock_order_with_lines)
    write = prepare(sql.write_shipped)
    select = prepare(sql.read_order)

    async def ship_in(
        self, connection: Connection, order_id: UUID, tracking_number: str | None, carrier: str | None
    ) -> Document:
        row = await self.lock.fetch_one(connection, order_id=order_id)
        assert row is not None
        parameters, shipped = ship(dict(row), row["lines"], tracking_number, carrier)
        await self.write.execute(connection, **parameters)
        return shipped

    async def read(self, order_id: UUID) -> Document:
        async with self.pool.acquire() as connection:
            row = await self.select.fetch_one(connection, order_id=order_id)
        assert row is not None
        return document(dict(row), row["lines"])


class PreparedWithReset(Prepared):
    """As `Prepared`, with asyncpg's default reset of pooled connections."""

    reset = None


class CoreSeparate:
    """SQLAlchemy's engine and Core; separate statements in one transaction."""

    async def open(self, dsn: str) -> Self:
        self.engine: AsyncEngine = create_async_engine(
            dsn.replace("postgresql://", "postgresql+asyncpg://"),
            pool_size=POOL_SIZE,
            max_overflow=0,
            json_serializer=lambda value: encode_event(value).decode(),
            json_deserializer=decode_json,
        )
        return self

    async def close(self) -> None:
        await self.engine.dispose()

    async def ship(self, order_id: UUID, tracking_number: str | None, carrier: str | None) -> Document:
        async with self.engine.begin() as connection:
            row = (await connection.execute(sql.lock_order, {"order_id": order_id})).mappings().one()
            lines = (await connection.execute(sql.read_lines, {"order_id": order_id})).mappings().all()
            parameters, shipped = ship(dict(row), [dict(line) for line in lines], tracking_number, carrier)
            for statement in (sql.update_order, sql.insert_audit, sql.insert_outbox):
                await connection.execute(statement, parameters)
        return shipped

    async def read(self, order_id: UUID) -> Document:
        async with self.engine.connect() as connection:
            row = (await connection.execute(sql.read_order, {"order_id": order_id})).mappings().one()
        return document(dict(row), row["lines"])


class CoreTogether(CoreSeparate):
    """SQLAlchemy's engine and Core; one statement locks the order and reads its lines, one writes everything."""

    async def ship(self, order_id: UUID, tracking_number: str | None, carrier: str | None) -> Document:
        async with self.engine.begin() as connection:
            row = (await connection.execute(sql.lock_order_with_lines, {"order_id": order_id})).mappings().one()
            parameters, shipped = ship(dict(row), row["lines"], tracking_number, carrier)
            await connection.execute(sql.write_shipped, parameters)
        return shipped
