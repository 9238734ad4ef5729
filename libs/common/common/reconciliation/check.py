"""What a check is: it finds discrepancies, and may repair one (ADR 40)."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec

from common.database.statements import Connection, Record, Statement
from common.database.transactions import Pool, reading

# A check that finds so many may have missed some: what it does not name is then not resolved. Those that a person has
# acknowledged do not count.
MOST_FINDINGS = 500


@dataclass(frozen=True, slots=True)
class Finding:
    """`subject` is what is wrong; a check has one open discrepancy of it. `key` is the record key of its event."""

    subject: str
    key: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_row(cls, row: Record | Mapping[str, Any]) -> "Finding":
        """The columns `subject` and `key`; all others are the details."""
        values: dict[str, Any] = msgspec.to_builtins(dict(row))
        return cls(str(values.pop("subject")), values.pop("key", None), values)


Repair: TypeAlias = Callable[[Connection, Finding], Awaitable[None]]


class Check(ABC):
    """One comparison. It must not find what is still being worked on. `name` is stored, and labels the metrics.
    `volatile` are the names of details that may change although nothing else has happened, such as a count: an
    acknowledgement outlasts their changes."""

    name: str
    volatile: frozenset[str] = frozenset()
    # How often one discrepancy is repaired; 0: only people can.
    most_repairs: int = 0

    @abstractmethod
    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        """Everything that is wrong now, the oldest first, at most `most`. Opens its own connections, so that none is
        held during a call outside."""

    async def repair(self, connection: Connection, finding: Finding) -> None:
        """Repair the finding by the normal path (an event or a job), in the transaction that records the repair.

        It must change nothing where the finding is no longer true. Called only where `most_repairs` is above 0."""
        raise NotImplementedError


class QueryCheck(Check):
    """A check that is one statement: each of its rows is a finding (`Finding.of_row`). Its limit is the parameter
    `most`."""

    def __init__(
        self,
        name: str,
        statement: Statement,
        *,
        repair: Repair | None = None,
        volatile: Iterable[str] = (),
        **parameters: object,
    ) -> None:
        self.name = name
        self.volatile = frozenset(volatile)
        self.most_repairs = 0 if repair is None else 1
        self._statement = statement
        self._repair = repair
        self._parameters = parameters

    async def find(self, pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        async with reading(pool) as connection:
            rows = await self._statement.fetch_all(connection, most=most, **self._parameters)
        return [Finding.of_row(row) for row in rows]

    async def repair(self, connection: Connection, finding: Finding) -> None:
        if self._repair is None:
            raise NotImplementedError
        await self._repair(connection, finding)
