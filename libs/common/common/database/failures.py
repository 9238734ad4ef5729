"""Which errors of the database are nobody's fault: decided here and nowhere else, by SQLSTATE.

`RULINGS` says what each code means and why we treat it so (docs/reference/database-failures.md). What no ruling covers
is a fault of the program or of its data: the caller sees a 500, a record becomes poison, a job's attempt has failed.
Codes: https://www.postgresql.org/docs/18/errcodes-appendix.html.
"""

from dataclasses import dataclass
from enum import Enum

import asyncpg


class DatabaseUnavailable(Exception):
    """No connection was to be had: the server is away, or every connection of the pool is busy."""


class Failure(Enum):
    """Both are answered with 503, and neither makes a record poison. They differ for work that runs on its own."""

    AWAY = "away"
    """The server cannot do any work for us now. Wait for it; it is not counted against the work that was tried."""
    CONTENDED = "contended"
    """The server works, but this statement waited too long or lost against others. Trying again helps; whatever is
    repeated is counted, as the next try may end the same way."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What we make of one SQLSTATE (five characters) or of a whole class (its first two).

    `lets_go`: the connection is of no use any more, because the server has closed it or is not the right one.
    """

    code: str
    meaning: str
    failure: Failure | None
    reason: str
    lets_go: bool = False


_AWAY, _CONTENDED = Failure.AWAY, Failure.CONTENDED

RULINGS = (
    Ruling("08", "connection exceptions", _AWAY, "The connection broke, or was refused.", lets_go=True),
    Ruling("25006", "read-only transaction", _AWAY, "This server is no longer the primary, or was set read-only: a new "
           "connection may reach the new primary.", lets_go=True),
    Ruling("25P03", "idle in transaction for too long", _CONTENDED, "This process was too slow: paused, or its event "
           "loop blocked. The server has closed the connection.", lets_go=True),
    Ruling("25P04", "transaction timeout", _CONTENDED, "As 25P03.", lets_go=True),
    Ruling("28", "login refused", _AWAY, "Only when connecting: during a failover or a change of password the server "
           "that answers may not know the login yet. The log names it.", lets_go=True),
    Ruling("3D000", "no such database", _AWAY, "Only when connecting, as 28.", lets_go=True),
    Ruling("40000", "transaction rolled back", _CONTENDED, "As 40001."),
    Ruling("40001", "serialization failure", _CONTENDED, "Another transaction won, or a standby had to cancel."),
    Ruling("40002", "constraint violated at the end", None, "The data is wrong, and would be at the next try."),
    Ruling("40003", "completion unknown", _AWAY, "As 08007: nobody can say whether the commit took place.",
           lets_go=True),
    Ruling("40P01", "deadlock", _CONTENDED, "Another transaction won."),
    Ruling("42501", "missing privilege", None, "The application's rights are wrong; waiting does not change them."),
    Ruling("53", "no resources", _AWAY, "Disk, memory or connections are used up; operators or others free them."),
    Ruling("55P03", "lock not available", _CONTENDED, "Somebody else holds the row or the table (`lock_timeout`)."),
    Ruling("57", "operator intervention", _AWAY, "The server is stopping, starting or recovering from a crash, or an "
           "operator has ended the session.", lets_go=True),
    Ruling("57014", "statement cancelled", _CONTENDED, "It took longer than `statement_timeout`, or an operator "
           "cancelled it; the server itself works."),
    Ruling("58", "system error", _AWAY, "The server's disk or files failed; the statement is not to blame."),
    Ruling("F0", "configuration file error", _AWAY, "The server's installation is broken; the statement is not to "
           "blame."),
    Ruling("XX", "internal error, corrupted data", None, "Waiting does not mend it, and only what touches the "
           "damaged place fails; the rest goes on."),
)  # fmt: skip

_BY_CODE = {ruling.code: ruling for ruling in RULINGS}


def ruling_of(error: BaseException) -> Ruling | None:
    """The ruling for an error of the server, the code's own before its class's; None where there is none."""
    code = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    return None if code is None else _BY_CODE.get(code) or _BY_CODE.get(code[:2])


def failure_of(error: BaseException) -> Failure | None:
    """What of the database failed, so that the same work may succeed later unchanged; None for any other error.

    A group counts as a failure of the database when each of its errors is one.
    """
    if isinstance(error, BaseExceptionGroup):
        found = {failure_of(each) for each in error.exceptions}
        return None if None in found else Failure.AWAY if Failure.AWAY in found else Failure.CONTENDED
    if isinstance(error, asyncpg.InvalidCachedStatementError | asyncpg.OutdatedSchemaCacheError):
        return Failure.CONTENDED  # a migration changed the table; asyncpg prepares anew at the next try
    if isinstance(error, asyncpg.PostgresError):
        ruling = ruling_of(error)
        return None if ruling is None else ruling.failure
    if isinstance(error, asyncpg.InterfaceError):
        # asyncpg's own word for an argument that the database cannot hold is a ValueError too.
        return None if isinstance(error, ValueError) else Failure.AWAY
    # An InternalClientError is what asyncpg says when a connection breaks in the middle of its protocol.
    return Failure.AWAY if isinstance(error, DatabaseUnavailable | asyncpg.InternalClientError) else None


def is_database_failure(error: BaseException) -> bool:
    """Whether the database was away or gave up on us, so that the same work may succeed later unchanged."""
    return failure_of(error) is not None


def is_contention(error: BaseException) -> bool:
    """Whether the database works, and this statement timed out or lost against another transaction."""
    return failure_of(error) is Failure.CONTENDED


def is_connection_failure(error: BaseException) -> bool:
    """As `is_database_failure`, where the database is the only thing outside that can have failed."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_connection_failure(each) for each in error.exceptions)
    return is_database_failure(error) or isinstance(error, OSError | TimeoutError)


def ends_connection(error: BaseException) -> bool:
    """Whether the connection that the error came over must not be used again."""
    if isinstance(error, BaseExceptionGroup):
        return any(ends_connection(each) for each in error.exceptions)
    ruling = ruling_of(error)
    return ruling is not None and ruling.lets_go


def is_read_only(error: BaseException) -> bool:
    """Whether the server is not the primary (any more); then none of a pool's connections leads to it."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_read_only(each) for each in error.exceptions)
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError)
