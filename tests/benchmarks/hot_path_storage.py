"""How each variant runs the same statements: one class a way, all with `ship` and `read`."""

import hashlib
from typing import Any, Self, cast
from uuid import UUID

import asyncpg
from benchmarks import hot_path_statements as sql
from benchmarks.hot_path_order import decode_json, document, encode_answer, encode_event, ship
from common.database.statements import Connection, prepare, prepare_connection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POOL_SIZE = 16
Document = dict[str, Any]


async def keep_session(_: Connection) -> None:
    """In place of asyncpg's reset query at each release: a round trip of four statements that nothing here needs."""


class Raw:
    """asyncpg and SQL text; separate statements in one transaction."""

    reset: Any = staticmethod(keep_session)

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
        p, shipped = ship(dict(row), [dict(line) for line in lines], tracking_number, carrier)
        await connection.execute(
            sql.UPDATE_ORDER,
            *(order_id, p["new_state"], tracking_number, carrier, p["now"]),
            *(p["version"], p["sequence"], p["audit_number"], p["digest"]),
        )
        await connection.execute(
            sql.INSERT_AUDIT,
            *(order_id, p["audit_number"], p["now"], p["digest"]),
            *(p["previous_state"], p["new_state"], p["actor_id"], p["metadata"]),
        )
        await connection.execute(
            sql.INSERT_OUTBOX,
            *(p["event_id"], p["aggregate_id"], p["lane"], p["sequence"], p["payload"], p["headers"]),
        )
        return shipped

    async def ship_once(
        self, order_id: UUID, tracking_number: str | None, carrier: str | None, scope: str, key: str, body: bytes
    ) -> bytes:
        """As `ship`, and keep the answer under the idempotency key; a repeat gets that answer."""
        async with self.pool.acquire() as connection, connection.transaction():
            found = await connection.fetchrow(sql.FIND_ANSWER, scope, key)
            assert found is not None
            nobody_else_is_at_it, stored = found
            assert nobody_else_is_at_it
            if stored is not None:
                return cast(bytes, stored)
            answer = encode_answer(await self.ship_in(connection, order_id, tracking_number, carrier))
            await connection.execute(sql.INSERT_ANSWER, scope, key, hashlib.sha256(body).digest(), 200, answer)
            return answer

    async def read(self, order_id: UUID) -> Document:
        async with self.pool.acquire() as connection:
            row = await connection.fetchrow(sql.READ_ORDER, order_id)
        assert row is not None
        return document(dict(row), row["lines"])


class Text(Raw):
    """asyncpg and SQL text; the lock brings the lines, one statement writes all."""

    async def ship_in(
        self, connection: Connection, order_id: UUID, tracking_number: str | None, carrier: str | None
    ) -> Document:
        row = await connection.fetchrow(sql.LOCK_ORDER_WITH_LINES, order_id)
        assert row is not None
        parameters, shipped = ship(dict(row), row["lines"], tracking_number, carrier)
        await connection.execute(sql.WRITE_SHIPPED, *[parameters[name] for name in sql.WRITING_ORDER])
        return shipped


class Optimistic(Raw):
    """Two round trips and no lock: read, then one statement that writes only if the version is still the same."""

    async def ship(self, order_id: UUID, tracking_number: str | None, carrier: str | None) -> Document:
        async with self.pool.acquire() as connection:
            while True:
                row = await connection.fetchrow(sql.LOCK_ORDER_WITH_LINES.removesuffix(" FOR UPDATE"), order_id)
                assert row is not None
                parameters, shipped = ship(dict(row), row["lines"], tracking_number, carrier)
                arguments = [parameters[name] for name in sql.WRITING_ORDER]
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
    """As `Prepared`, with the pool as asyncpg makes it."""

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
    """SQLAlchemy's engine and Core; the lock brings the lines, one statement writes all."""

    async def ship(self, order_id: UUID, tracking_number: str | None, carrier: str | None) -> Document:
        async with self.engine.begin() as connection:
            row = (await connection.execute(sql.lock_order_with_lines, {"order_id": order_id})).mappings().one()
            parameters, shipped = ship(dict(row), row["lines"], tracking_number, carrier)
            await connection.execute(sql.write_shipped, parameters)
        return shipped
