"""SQLAlchemy statements run by asyncpg, against real PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest
from common.database.statements import Connection, prepare, prepare_connection
from local_stack.postgres import Postgres
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    ColumnElement,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    insert,
    literal,
    literal_column,
    make_url,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex, CreateTable

orders = Table(
    "orders",
    MetaData(),
    Column("id", Uuid, primary_key=True),
    Column("position", BigInteger, Identity()),
    Column("status", String(10), nullable=False),
    Column("total", Numeric(14, 2), nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("digest", LargeBinary),
    Column("address", JSONB),
)
open_orders = Index("open_orders", orders.c.placed_at, postgresql_where=orders.c.status == "PENDING")

INSERT_ORDER = prepare(
    insert(orders).values(
        {name: bindparam(name) for name in ("id", "status", "total", "placed_at", "digest", "address")}
    )
)
LOCK_ORDER = prepare(select(orders).where(orders.c.id == bindparam("order_id")).with_for_update())
COUNT_ORDERS = prepare(select(func.count()).select_from(orders))
DIALECT = make_url("postgresql+asyncpg://").get_dialect()()
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


class OrderStatus(StrEnum):
    PENDING = "PENDING"
    SHIPPED = "SHIPPED"


def an_order(**changes: object) -> dict[str, object]:
    order = {"id": uuid4(), "status": OrderStatus.PENDING, "total": Decimal("49.90"), "placed_at": NOON}
    return {**order, "digest": b"\x00\xff", "address": {"city": "Kraków"}, **changes}


@pytest.fixture
async def connection(postgres: Postgres) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(postgres.dsn())
    try:
        await prepare_connection(connection)
        await connection.execute("CREATE SCHEMA shop; SET search_path TO shop")
        await connection.execute(str(CreateTable(orders).compile(dialect=DIALECT)))
        await connection.execute(str(CreateIndex(open_orders).compile(dialect=DIALECT)))
        yield connection
    finally:
        await connection.execute("DROP SCHEMA IF EXISTS shop CASCADE")
        await connection.close()


async def test_every_type_of_value_is_read_as_it_was_written(connection: Connection) -> None:
    order = an_order()
    assert await INSERT_ORDER.execute(connection, **order) == 1
    row = await LOCK_ORDER.fetch_one(connection, order_id=order["id"])
    assert row is not None
    assert {name: row[name] for name in order} == order
    assert await LOCK_ORDER.fetch_one(connection, order_id=uuid4()) is None


async def test_affected_rows_are_counted(connection: Connection) -> None:
    ship = prepare(update(orders).where(orders.c.status == bindparam("old")).values(status=bindparam("new")))
    await INSERT_ORDER.execute_many(connection, [an_order() for _ in range(3)])
    assert await ship.execute(connection, old="PENDING", new="SHIPPED") == 3
    assert await ship.execute(connection, old="PENDING", new="SHIPPED") == 0
    assert await prepare(delete(orders)).execute(connection) == 3


async def test_a_statement_can_have_a_longer_time_limit_than_its_connection(connection: Connection) -> None:
    await connection.execute("SET statement_timeout = '50ms'")
    slow = prepare(text("SELECT pg_sleep(0.2) IS NULL AS is_void, current_setting('statement_timeout') AS time_limit"))
    async with connection.transaction():
        [row] = await slow.fetch_all_within(connection, 240)
    assert row["time_limit"] == "4min"
    assert await connection.fetchval("SHOW statement_timeout") == "50ms"
    with pytest.raises(asyncpg.QueryCanceledError):
        await slow.fetch_all(connection)


async def test_many_rows_are_written_all_or_none(connection: Connection) -> None:
    order = an_order()
    with pytest.raises(asyncpg.UniqueViolationError):
        await INSERT_ORDER.execute_many(connection, [an_order(), order, order])
    assert await COUNT_ORDERS.fetch_value(connection) == 0


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ({}, r"missing: \['order_id'\], unknown: \[\]"),
        ({"order": 1}, r"missing: \['order_id'\], unknown: \['order'\]"),
        ({"order_id": 1, "colour": 2}, r"missing: \[\], unknown: \['colour'\]"),
    ],
)
async def test_a_wrong_parameter_name_is_an_error(
    connection: Connection, parameters: dict[str, object], complaint: str
) -> None:
    with pytest.raises(TypeError, match=complaint):
        await LOCK_ORDER.fetch_one(connection, **parameters)


async def test_a_missing_parameter_in_one_of_many_rows_is_an_error_before_any_is_written(
    connection: Connection,
) -> None:
    incomplete = an_order()
    del incomplete["total"]
    with pytest.raises(TypeError, match="total"):
        await INSERT_ORDER.execute_many(connection, [an_order(), incomplete])
    assert await COUNT_ORDERS.fetch_value(connection) == 0


async def test_a_literal_value_is_part_of_the_prepared_statement(connection: Connection) -> None:
    await INSERT_ORDER.execute_many(connection, [an_order(), an_order(status="SHIPPED"), an_order(status="O'Neil")])
    find = select(orders.c.status).where(orders.c.total >= bindparam("least"))
    find_shipped = prepare(find.where(orders.c.status == OrderStatus.SHIPPED).limit(10))
    assert await find_shipped.fetch_value(connection, least=Decimal(1)) == "SHIPPED"
    find_either = prepare(find.where(orders.c.status.in_(["SHIPPED", "O'Neil"])).order_by(orders.c.status))
    assert [row["status"] for row in await find_either.fetch_all(connection, least=Decimal(1))] == ["O'Neil", "SHIPPED"]
    inline = prepare(find.where(orders.c.status == literal("O'Neil", literal_execute=True)))
    assert "'O''Neil'" in inline.sql
    assert await inline.fetch_value(connection, least=Decimal(1)) == "O'Neil"


@pytest.mark.parametrize(
    ("pending", "uses_index"),
    [
        (literal("PENDING", literal_execute=True), True),
        (literal_column("'PENDING'"), True),
        (literal("PENDING"), False),
    ],
)
async def test_only_a_constant_in_the_text_lets_a_cached_plan_use_a_partial_index(
    connection: Connection, pending: ColumnElement[str], uses_index: bool
) -> None:
    overdue = prepare(select(orders.c.id).where(orders.c.status == pending, orders.c.placed_at < bindparam("before")))
    await connection.execute("SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
    await connection.execute(f"PREPARE overdue AS {overdue.sql}")
    arguments = "now()" if uses_index else "'PENDING', now()"
    plan = await connection.fetch(f"EXPLAIN EXECUTE overdue({arguments})")
    assert any("open_orders" in line[0] for line in plan) == uses_index


async def test_a_list_of_variable_length_is_an_array_parameter(connection: Connection) -> None:
    rows = [an_order() for _ in range(3)]
    await INSERT_ORDER.execute_many(connection, rows)
    of_ids = prepare(select(orders.c.id).where(orders.c.id == any_(bindparam("ids", type_=ARRAY(Uuid)))))
    ids = [rows[0]["id"], rows[2]["id"]]
    assert {row["id"] for row in await of_ids.fetch_all(connection, ids=ids)} == set(ids)
    assert await of_ids.fetch_all(connection, ids=[]) == []


@pytest.mark.parametrize(
    "condition",
    [orders.c.id.in_(bindparam("ids")), orders.c.status == bindparam("ids", literal_execute=True)],
)
def test_a_statement_with_variable_text_is_an_error(condition: ColumnElement[bool]) -> None:
    with pytest.raises(ValueError, match=r"\['ids'\]: use any_\(\)"):
        prepare(select(orders).where(condition))


async def test_a_parameter_that_is_used_twice_is_passed_once(connection: Connection) -> None:
    await INSERT_ORDER.execute_many(connection, [an_order(), an_order(status="SHIPPED")])
    status = bindparam("status", type_=String)
    optional = prepare(
        select(orders.c.id)
        .where(or_(status.is_(None), orders.c.status == status))
        .limit(bindparam("limit", type_=Integer))
    )
    assert len(await optional.fetch_all(connection, status=None, limit=20)) == 2
    assert len(await optional.fetch_all(connection, status="SHIPPED", limit=20)) == 1


async def test_a_value_that_is_too_long_for_its_column_is_an_error_and_not_truncated(connection: Connection) -> None:
    with pytest.raises(asyncpg.StringDataRightTruncationError):
        await INSERT_ORDER.execute(connection, **an_order(status="ELEVEN_CHAR"))


async def test_one_statement_updates_one_table_and_inserts_into_another(connection: Connection) -> None:
    order = an_order()
    await INSERT_ORDER.execute(connection, **order)
    shipped_order = (
        update(orders)
        .where(orders.c.id == bindparam("order_id"))
        .values(status=bindparam("status"))
        .returning(orders.c.total, orders.c.placed_at)
        .cte("shipped")
    )
    new_row = select(
        bindparam("copy_id", type_=Uuid), literal("COPY"), shipped_order.c.total, shipped_order.c.placed_at
    )
    ship_and_copy = prepare(insert(orders).from_select(["id", "status", "total", "placed_at"], new_row))
    assert await ship_and_copy.execute(connection, order_id=order["id"], status="SHIPPED", copy_id=uuid4()) == 1
    statuses = prepare(select(orders.c.status).order_by(orders.c.position))
    assert [row["status"] for row in await statuses.fetch_all(connection)] == ["SHIPPED", "COPY"]


async def test_sql_text_can_have_named_parameters(connection: Connection) -> None:
    half = prepare(text("SELECT CAST(:amount AS numeric) / 2 AS half, '50%' AS share, '{\"a\": 1}'::jsonb AS data"))
    row = await half.fetch_one(connection, amount=Decimal("1.01"))
    assert row is not None
    assert dict(row) == {"half": Decimal("0.505"), "share": "50%", "data": {"a": 1}}


async def test_money_read_through_json_stays_exact(connection: Connection) -> None:
    await INSERT_ORDER.execute(connection, **an_order(total=Decimal("999999999999.90")))
    as_json = prepare(select(func.json_agg(func.json_build_object("total", orders.c.total, "n", 3))))
    [total] = await as_json.fetch_value(connection)
    assert total == {"total": Decimal("999999999999.90"), "n": 3}
    assert isinstance(total["total"], Decimal)
    assert isinstance(total["n"], int)


async def test_values_without_an_exact_json_type_are_written_as_text(connection: Connection) -> None:
    customer = uuid4()
    order = an_order(address={"fee": Decimal("0.10"), "customer": customer, "at": NOON, "status": OrderStatus.SHIPPED})
    await INSERT_ORDER.execute(connection, **order)
    row = await LOCK_ORDER.fetch_one(connection, order_id=order["id"])
    assert row is not None
    assert row["address"] == {
        "fee": "0.10",
        "customer": str(customer),
        "at": "2026-11-01T12:00:00Z",
        "status": "SHIPPED",
    }


async def test_encoded_json_is_written_unchanged(connection: Connection) -> None:
    order = an_order(address=msgspec.Raw(b'{"fee": 0.10}'))
    await INSERT_ORDER.execute(connection, **order)
    row = await LOCK_ORDER.fetch_one(connection, order_id=order["id"])
    assert row is not None
    assert row["address"] == {"fee": Decimal("0.10")}
    assert await connection.fetchval("SELECT $1::json::text", msgspec.Raw(b'{"fee":  0.10}')) == '{"fee":  0.10}'


async def test_an_absent_json_value_is_null(connection: Connection) -> None:
    await INSERT_ORDER.execute(connection, **an_order(address=None, digest=None))
    assert await connection.fetchval("SELECT count(*) FROM orders WHERE address IS NULL AND digest IS NULL") == 1


async def test_a_prepared_statement_works_in_a_pool(postgres: Postgres) -> None:
    echo = prepare(select(bindparam("id", type_=Uuid).label("id"), bindparam("data", type_=JSONB).label("data")))
    async with asyncpg.create_pool(postgres.dsn(), min_size=1, max_size=1, init=prepare_connection) as pool:
        async with pool.acquire() as connection:
            row = await echo.fetch_one(connection, id=UUID(int=1), data={"price": Decimal("1.50")})
        assert row is not None
        assert dict(row) == {"id": UUID(int=1), "data": {"price": "1.50"}}
