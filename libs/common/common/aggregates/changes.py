"""The values that a change of an aggregate is made of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from sqlalchemy import UpdateBase

from common.aggregates.table import T
from common.audit.chain import ChainHead

# Of an audit row; may hold free text and personal data.
Details: TypeAlias = Mapping[str, object]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Locked(Generic[T]):
    """An aggregate that nobody else can change until the transaction ends, and the database's time.

    `sequence` is that of its last event; 0 where the aggregate does not count its events.
    """

    value: T
    now: datetime
    sequence: int
    audit_head: ChainHead


@dataclass(frozen=True, slots=True)
class Write:
    """One more write in the statement of a change; a `Part` makes it."""

    statement: UpdateBase
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Part(Generic[Value]):
    """A kind of `Write`. `parameters` gives the values of all parameters of the statement but
    `AggregateTable.the_id`."""

    statement: UpdateBase
    parameters: Callable[[Value], Mapping[str, object]]

    def __call__(self, value: Value) -> Write:
        return Write(self.statement, self.parameters(value))
