"""The values that a change of an aggregate is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeAlias

from sqlalchemy import UpdateBase

from common.aggregates.table import T
from common.audit.actor import Actor
from common.database.statements import Record

# Of an audit row; may hold free text and personal data.
Details: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Locked(Generic[T]):
    """An aggregate that nobody else can change until the transaction ends, and the database's time.

    `row` also has the columns that were read in addition to the aggregate's: the head of its audit chain, the
    `sequence` of its last event, and the store's `lock_columns`.
    """

    value: T
    now: datetime
    row: Record


class Write(NamedTuple):
    """One more write in the statement of a change. Each kind of write has one `statement`, the same object every time;
    `parameters` are all of its parameters but `AggregateTable.the_id`."""

    statement: UpdateBase
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class New(Generic[T]):
    """An aggregate to be created, and the audit row's actor and details."""

    value: T
    actor: Actor
    details: Details
    writes: tuple[Write, ...] = ()
