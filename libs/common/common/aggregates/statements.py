"""The statements of an aggregate's changes, composed of a row, its audit row, the counts, other writes and the event.

Their parameters are the columns of the row by their names, `audit_…` for the audit row and `event_…` for the event.
The position and the hash of the audit row are also the row's new chain head, in one parameter each.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, UpdateBase, bindparam, func, insert, select, update

from common.aggregates.changes import Write
from common.aggregates.table import AggregateTable
from common.audit.entries import insert_entry
from common.database.statements import Statement, prepare, prepare_together
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent

_HEAD = ("audit_position", "audit_hash")


class ChangeStatements:
    """Each attribute has the fixed parts of one kind of change. Each combination of parts is compiled once."""

    def __init__(self, rows: AggregateTable[Any], lock_columns: Sequence[ColumnElement[Any]]) -> None:
        table = rows.table
        self.counts_events = "sequence" in table.c
        sequence = ("sequence",) if self.counts_events else ()
        # Not now(), the transaction's beginning: it may be before the time of a change that the lock was waited for.
        clock = func.clock_timestamp()
        now = func.greatest(clock, table.c.updated_at) if "updated_at" in table.c else clock
        read = {column.name for column in rows.columns}
        more = [table.c[name] for name in (*sequence, *_HEAD) if name not in read]
        self.lock = prepare(
            select(*rows.columns, now.label("now"), *more, *lock_columns)
            .where(rows.the_visible_row)
            .with_for_update(of=table)
        )
        self.inserted = [column.name for column in table.c if column.server_default is None]
        counts = rows.counts
        arrival, transition = ((), ()) if counts is None else ((counts.arrival(),), (counts.transition(),))
        changed = update(table).where(rows.the_row)
        changed_and_audited = (changed.values(_parameters((*rows.changing, *sequence, *_HEAD))), *insert_entry())
        self.add = (insert(table).values(_parameters(self.inserted)), *insert_entry(), *arrival)
        self.save = (*changed_and_audited, *transition)
        self.refuse = (changed.values(_parameters(_HEAD)), *insert_entry())
        self.refuse_and_save = changed_and_audited
        self.save_unaudited = (changed.values(_parameters((*rows.changing, *sequence))),)
        self._event = outbox.insert_event() if self.counts_events else outbox.insert_next_event()
        self._prepared: dict[tuple[UpdateBase, ...], Statement] = {}

    def compose(
        self,
        parts: tuple[UpdateBase, ...],
        parameters: dict[str, object],
        event: NewEvent | None,
        writes: Iterable[Write],
    ) -> tuple[Statement, dict[str, object]]:
        """One statement of the parts, the other writes and the event, with all parameters."""
        for write in writes:
            if clash := parameters.keys() & write.parameters.keys():
                raise TypeError(f"parameters of two writes have the same names: {sorted(clash)}")
            parts, parameters = (*parts, write.statement), {**parameters, **write.parameters}
        if event is not None:
            parts, parameters = (*parts, self._event), parameters | outbox.event_parameters(event)
            if self.counts_events:
                parameters["event_sequence"] = parameters["sequence"]
        if parts not in self._prepared:
            self._prepared[parts] = prepare_together(*parts)
        return self._prepared[parts], parameters


def _parameters(names: Iterable[str]) -> dict[str, BindParameter[Any]]:
    return {name: bindparam(name) for name in names}
