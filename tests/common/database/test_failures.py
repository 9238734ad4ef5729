"""How each PostgreSQL error code is classified, on a real server."""

import asyncio

import asyncpg
import pytest
from common.database.failures import (
    RULINGS,
    DatabaseUnavailable,
    Failure,
    closes_connection,
    failure_of,
    is_connection_failure,
    is_contention,
)
from common.database.transactions import Pool, open_pool, reading, transaction
from support.postgres.databases import Database
from support.waiting import eventually

UNAVAILABLE, CONTENDED, OURS = Failure.UNAVAILABLE, Failure.CONTENDED, None
WRITE = "INSERT INTO event_streams (topic, key, sequence) VALUES ('t', $1, 1)"
READ_ONLY = "SET default_transaction_read_only = on"

CLASSIFIED = {
    **dict.fromkeys(["08000", "08001", "08003", "08004", "08006", "08007", "08P01"], UNAVAILABLE),
    "25006": UNAVAILABLE,
    **dict.fromkeys(["28000", "28P01", "3D000", "40003"], UNAVAILABLE),
    **dict.fromkeys(["53000", "53100", "53200", "53300", "53400"], UNAVAILABLE),
    **dict.fromkeys(["57000", "57P01", "57P02", "57P03", "57P04", "57P05"], UNAVAILABLE),
    "57P99": UNAVAILABLE,  # a code that asyncpg does not know is classified by its class
    **dict.fromkeys(["58000", "58030", "58P01", "58P02", "58P03", "F0000", "F0001"], UNAVAILABLE),
    **dict.fromkeys(["25P03", "25P04", "40000", "40001", "40P01", "55P03", "57014"], CONTENDED),
    **dict.fromkeys(["22P02", "23505", "25001", "25P02", "26000", "40002", "42501", "42P01", "42601"], OURS),
    **dict.fromkeys(["54000", "55000", "55006", "0A000", "P0001", "XX000", "XX001", "XX002"], OURS),
}
CLOSED_OR_WRONG = {"08006", "25006", "25P03", "25P04", "57P01", "57P02", "57P03", "57P05"}


def error_with_code(code: str) -> asyncpg.PostgresError:
    error = asyncpg.PostgresError.new({"C": code, "M": "as the server says it", "S": "ERROR"})
    assert isinstance(error, asyncpg.PostgresError)
    return error


@pytest.mark.parametrize("code", CLASSIFIED)
def test_each_error_code_is_classified_by_itself_or_by_its_class(code: str) -> None:
    assert failure_of(error_with_code(code)) is CLASSIFIED[code]


def test_every_classification_is_tested_here() -> None:
    assert [rule.code for rule in RULINGS if not any(code.startswith(rule.code) for code in CLASSIFIED)] == []


@pytest.mark.parametrize("code", ["57014", "55P03", "40P01", "53100", "23505"])
def test_a_connection_that_is_still_usable_stays_open(code: str) -> None:
    assert not closes_connection(error_with_code(code))


@pytest.mark.parametrize("code", sorted(CLOSED_OR_WRONG))
def test_a_connection_that_is_closed_or_leads_to_the_wrong_server_is_discarded(code: str) -> None:
    assert closes_connection(error_with_code(code))
    assert closes_connection(ExceptionGroup("several", [ValueError(), error_with_code(code)]))


def test_errors_of_the_client_library_are_classified_too() -> None:
    assert failure_of(DatabaseUnavailable("no connection")) is UNAVAILABLE
    assert failure_of(asyncpg.InterfaceError("connection is closed")) is UNAVAILABLE
    assert failure_of(asyncpg.InternalClientError("unexpected message")) is UNAVAILABLE
    assert failure_of(asyncpg.ConnectionDoesNotExistError("closed in the middle of an operation")) is UNAVAILABLE
    assert failure_of(asyncpg.DataError("value out of int64 range")) is OURS
    assert failure_of(asyncpg.InvalidCachedStatementError("the table was changed")) is CONTENDED
    assert failure_of(ConnectionResetError()) is OURS
    assert is_connection_failure(ConnectionResetError())


def test_a_group_of_errors_is_a_database_failure_when_each_of_them_is_one() -> None:
    assert failure_of(BaseExceptionGroup("both", [error_with_code("57P01"), error_with_code("55P03")])) is UNAVAILABLE
    assert failure_of(BaseExceptionGroup("both", [error_with_code("55P03")])) is CONTENDED
    assert failure_of(BaseExceptionGroup("one of ours", [error_with_code("57P01"), ValueError()])) is OURS
    assert is_connection_failure(ExceptionGroup("both", [error_with_code("57P01"), TimeoutError()]))


async def test_lock_timeouts_and_statement_timeouts_are_contention(pool: Pool) -> None:
    with pytest.raises(asyncpg.QueryCanceledError) as timeout_error:
        async with transaction(pool) as connection:
            await connection.execute("SET LOCAL statement_timeout = '10ms'")
            await connection.execute("SELECT pg_sleep(5)")
    async with transaction(pool) as holder:
        await holder.execute("LOCK TABLE event_streams IN SHARE MODE")
        with pytest.raises(asyncpg.LockNotAvailableError) as lock_error:
            async with transaction(pool) as connection:
                await connection.execute("SET LOCAL lock_timeout = '10ms'")
                await connection.execute(WRITE, "nobody")
    assert is_contention(timeout_error.value)
    assert is_contention(lock_error.value)


async def test_after_an_error_of_a_read_only_server_the_whole_pool_reconnects(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failover behind one name, a new connection leads to the new primary."""
    monkeypatch.setattr("common.database.transactions.YOUNG_SECONDS", 0)
    async with reading(pool) as first, reading(pool) as second:
        for connection in (first, second):
            await connection.execute(READ_ONLY)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as raised:
        async with transaction(pool) as connection:
            await connection.execute(WRITE, "in vain")
    assert failure_of(raised.value) is UNAVAILABLE
    async with transaction(pool) as first, transaction(pool) as second:
        await first.execute(WRITE, "one")
        await second.execute(WRITE, "two")


async def test_while_a_server_stays_read_only_other_connections_are_not_reopened_each_time(pool: Pool) -> None:
    async with reading(pool) as other:
        pid = await other.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with reading(pool) as just_opened:
                await just_opened.execute(READ_ONLY)
                await just_opened.execute(WRITE, "in vain")
    async with reading(pool) as first, reading(pool) as second:
        assert pid in [await each.fetchval("SELECT pg_backend_pid()") for each in (first, second)]


async def test_a_connection_that_the_server_ended_is_not_reused(database: Database, pool: Pool) -> None:
    async with reading(pool) as connection:
        pid = await connection.fetchval("SELECT pg_backend_pid()")
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as error_with_code:
            async with transaction(pool) as connection:
                sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(20)"))
                await eventually(lambda: owner.fetchval("SELECT pg_terminate_backend($1)", pid))
                await sleeping
    finally:
        await owner.close()
    assert failure_of(error_with_code.value) is UNAVAILABLE
    async with reading(pool) as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") != pid


async def test_a_rejected_login_counts_as_an_unavailable_database(database: Database) -> None:
    wrong = database.dsn.replace("://infrastructure:", "://infrastructure:wrong")
    with pytest.raises(asyncpg.PostgresError) as raised:
        await open_pool(wrong, application_name="wrong password")
    assert failure_of(raised.value) is UNAVAILABLE
