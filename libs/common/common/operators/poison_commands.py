"""Commands of operators on many poison records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from common.audit.actor import Actor
from common.database.statements import Connection, prepare
from common.database.tables import poison
from common.errors import Code, Problem
from common.operators.commands import replay_poison
from common.operators.results import PoisonReplayed
from common.service import Runtime
from common.text.causes import stored_cause

# Each is processed in the transaction of the request.
MOST_RECORDS = 100

_topic, _error, _cause = (sa.bindparam(name, type_=sa.Text) for name in ("topic", "error", "cause"))
_ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
_CHOOSE = prepare(
    sa.select(poison.c.id)
    .where(
        poison.c.state == sa.literal("kept", literal_execute=True),
        sa.or_(_topic.is_(None), poison.c.topic == _topic),
        sa.or_(_error.is_(None), poison.c.error == _error),
        sa.or_(_cause.is_(None), poison.c.cause == _cause),
        sa.or_(_ids.is_(None), poison.c.id == sa.any_(_ids)),
    )
    .order_by(poison.c.created_at, poison.c.id)
    .limit(MOST_RECORDS)
)


@dataclass(frozen=True, slots=True)
class PoisonChoice:
    """Conditions on records; None is no condition. `cause` is that of the error, as `poison list` shows it."""

    topic: str | None = None
    error: str | None = None
    cause: str | None = None
    ids: Sequence[UUID] | None = None


async def choose(connection: Connection, chosen: PoisonChoice) -> list[UUID]:
    """The oldest records that are kept, up to `MOST_RECORDS`."""
    rows = await _CHOOSE.fetch_all(
        connection,
        topic=chosen.topic,
        error=chosen.error,
        cause=None if chosen.cause is None else stored_cause(chosen.cause),
        ids=None if chosen.ids is None else [*chosen.ids],
    )
    return [row["id"] for row in rows]


def preview(chosen: Sequence[UUID]) -> PoisonReplayed:
    return PoisonReplayed(dry_run=True, matched=len(chosen), ids=list(chosen), replayed=0, failed=[])


async def replay_records(
    connection: Connection, actor: Actor, runtime: Runtime[Any], chosen: Sequence[UUID]
) -> PoisonReplayed:
    """Process the records in this sequence; the changes of one that still fails are undone. Each is audited. Those that
    somebody else has replayed or discarded meanwhile are left out."""
    replayed, failed = list[UUID](), list[UUID]()
    for poison_id in chosen:
        try:
            async with connection.transaction():  # a savepoint
                await replay_poison(connection, actor, runtime, poison_id)
        except Problem as problem:
            if not _is_decided(problem):
                failed.append(poison_id)
        else:
            replayed.append(poison_id)
    return PoisonReplayed(dry_run=False, matched=len(chosen), ids=replayed, replayed=len(replayed), failed=failed)


def _is_decided(problem: Problem) -> bool:
    """Whether the record itself is not kept any more; a handler may miss something else."""
    is_purged = problem.code is Code.NOT_FOUND and "poison" in problem.details
    return is_purged or problem.details.get("state") in ("replayed", "discarded")


async def replay_from_command_line(
    connection: Connection,
    actor: Actor,
    runtime: Runtime[Any],
    poison_id: UUID | None,
    topic: str | None,
    error: str | None,
    cause: str | None,
    dry_run: bool,
) -> dict[str, Any]:
    """One record by its id, or all of a topic, error or cause. Raises `ValueError` for neither or both."""
    if (poison_id is None) == (topic is None and error is None and cause is None):
        raise ValueError("give either an id, or --topic, --error and --cause")
    if poison_id is not None and not dry_run:
        return await replay_poison(connection, actor, runtime, poison_id)
    ids = None if poison_id is None else [poison_id]
    chosen = await choose(connection, PoisonChoice(topic, error, cause, ids))
    return {**(preview(chosen) if dry_run else await replay_records(connection, actor, runtime, chosen))}
