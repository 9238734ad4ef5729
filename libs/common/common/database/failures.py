"""Classifies the database's errors by SQLSTATE: which of them are failures of the database, and not of our program.

`RULINGS` states the meaning of each code and our reason (docs/reference/database-failures.md). An error that no ruling
covers is a fault of the program or of its data: the client receives 500, a record becomes a poison record, a job's
attempt fails. Codes: https://www.postgresql.org/docs/18/errcodes-appendix.html.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import asyncpg

from common.text.storable import describe_error


class DatabaseUnavailable(Exception):
    """No connection could be acquired: the server is unavailable, or every connection of the pool is in use."""


class OutcomeUnknown(DatabaseUnavailable):
    """The connection failed during a commit. It is unknown whether the transaction was committed."""


class Failure(Enum):
    """A failure of the database. Requests receive 503, and no record becomes a poison record."""

    UNAVAILABLE = "unavailable"
    """The server cannot execute statements now. Background work waits; the attempt is not counted."""
    CONTENDED = "contended"
    """The server works, but this statement timed out or lost against another transaction. Background work tries again
    and counts the attempt, as the next one may fail in the same way."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """How one SQLSTATE (five characters) or a whole class of them (its first two) is classified.

    `failure` is None for a fault of the program or its data. `closes` says that the connection must not be used again,
    as the server has closed it or is not the right server.
    """

    code: str
    meaning: str
    failure: Failure | None
    reason: str
    closes: bool = False


_UNAVAILABLE, _CONTENDED = Failure.UNAVAILABLE, Failure.CONTENDED

RULINGS = (
    Ruling("08", "connection exceptions", _UNAVAILABLE, "The connection broke or was refused.", closes=True),
    Ruling("25006", "read-only transaction", _UNAVAILABLE, "This server is no longer the primary, or was set "
           "read-only: a new connection may reach the new primary.", closes=True),
    Ruling("25P03", "idle in transaction for too long", _CONTENDED, "This process was paused, or its event loop was "
           "blocked. The server has closed the connection.", closes=True),
    Ruling("25P04", "transaction timeout", _CONTENDED, "As 25P03.", closes=True),
    Ruling("28", "login refused", _UNAVAILABLE, "Only when connecting: during a failover or a change of password the "
           "server may not have the login yet. The log names the login.", closes=True),
    Ruling("3D000", "no such database", _UNAVAILABLE, "Only when connecting, as 28.", closes=True),
    Ruling("40000", "transaction rolled back", _CONTENDED, "As 40001."),
    Ruling("40001", "serialization failure", _CONTENDED, "Another transaction committed first, or a "
           "standby had to cancel."),
    Ruling("40002", "constraint violated at the end", None, "The data is wrong, and is wrong again at the "
           "next attempt."),
    Ruling("40003", "completion unknown", _UNAVAILABLE, "As 08007: it is unknown whether the transaction was "
           "committed.",
           closes=True),
    Ruling("40P01", "deadlock", _CONTENDED, "The server rolled this transaction back in favour of another."),
    Ruling("42501", "missing privilege", None, "The application lacks a privilege; waiting does not change that."),
    Ruling("53", "no resources", _UNAVAILABLE, "Disk, memory or connections are exhausted, until they are freed."),
    Ruling("55P03", "lock not available", _CONTENDED, "Another transaction holds the row or the table "
           "(`lock_timeout`)."),
    Ruling("57", "operator intervention", _UNAVAILABLE, "The server is stopping, starting or recovering from a "
           "crash, or an operator has ended the session.", closes=True),
    Ruling("57014", "statement cancelled", _CONTENDED, "It took longer than `statement_timeout`, or an operator "
           "cancelled it. The server works."),
    Ruling("58", "system error", _UNAVAILABLE, "The server's disk or files failed; the statement is not the cause."),
    Ruling("F0", "configuration file error", _UNAVAILABLE, "The server's configuration is broken; the "
           "statement is not the cause."),
    Ruling("XX", "internal error, corrupted data", None, "Waiting does not repair it, and only statements that "
           "read the damaged data fail."),
)  # fmt: skip

_BY_CODE = {ruling.code: ruling for ruling in RULINGS}


def find_ruling(error: BaseException) -> Ruling | None:
    """The ruling for an error of the server; one for its code takes precedence over one for its class."""
    code = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    return None if code is None else _BY_CODE.get(code) or _BY_CODE.get(code[:2])


def failure_of(error: BaseException) -> Failure | None:
    """Which failure of the database the error is, so that the same work may succeed later; None for any other error.

    An exception group is a failure of the database when each of its errors is one.
    """
    if isinstance(error, BaseExceptionGroup):
        failures = {failure_of(each) for each in error.exceptions}
        return None if None in failures else max(failures, key=lambda each: each is Failure.UNAVAILABLE)
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return Failure.CONTENDED  # a migration changed the table; asyncpg prepares the statement again
    if isinstance(error, asyncpg.PostgresError):
        ruling = find_ruling(error)
        return None if ruling is None else ruling.failure
    if isinstance(error, asyncpg.InterfaceError):
        # asyncpg's error for an argument that the column's type cannot hold is a ValueError too.
        return None if isinstance(error, ValueError) else Failure.UNAVAILABLE
    # asyncpg raises InternalClientError when a connection breaks in the middle of a protocol message.
    return Failure.UNAVAILABLE if isinstance(error, DatabaseUnavailable | asyncpg.InternalClientError) else None


def is_contention(error: BaseException) -> bool:
    """Whether the database works, and the statement timed out or lost against another transaction."""
    return failure_of(error) is Failure.CONTENDED


def is_connection_failure(error: BaseException) -> bool:
    """Whether the error is a failure of the database, where nothing else can raise `OSError` or `TimeoutError`."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_connection_failure(each) for each in error.exceptions)
    return failure_of(error) is not None or isinstance(error, OSError | TimeoutError)


@dataclass(frozen=True, slots=True)
class FailuresLogged:
    """A context in which a failure of the database is logged, and ends the block; other errors are raised."""

    log: Callable[..., object]
    message: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        if not isinstance(error, Exception) or not is_connection_failure(error):
            return False
        self.log(self.message, error=describe_error(error))
        return True


def closes_connection(error: BaseException) -> bool:
    """Whether the connection that the error came from must not be used again."""
    if isinstance(error, BaseExceptionGroup):
        return any(closes_connection(each) for each in error.exceptions)
    ruling = find_ruling(error)
    return isinstance(error, OutcomeUnknown) or (ruling is not None and ruling.closes)


def is_read_only(error: BaseException) -> bool:
    """Whether the server is not, or no longer, the primary; then no connection of the pool leads to the primary."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_read_only(each) for each in error.exceptions)
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError)
