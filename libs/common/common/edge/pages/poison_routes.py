"""`/api/v1/ops/poison`: the operators' routes about poison records, the same in every service."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from pydantic import Field, model_validator

from common.access.auth import Caller, Role
from common.edge.commands.command import command
from common.edge.commands.query import read, read_page
from common.edge.pages.job_bodies import Reason
from common.edge.requests.fields import Line, Lines, RequestBody
from common.edge.requests.query import PageQuery
from common.edge.routing.router import Router
from common.operators import commands, poison_commands, queries
from common.operators import results as schemas
from common.operators.poison_commands import MOST_RECORDS, PoisonChoice
from common.service import Runtime
from common.text.causes import LONGEST_CAUSE


class PoisonState(StrEnum):
    KEPT = "kept"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


class PoisonFilter(RequestBody):
    """Conditions on records that are kept, at least one of `topic`, `error`, `cause` and `ids`."""

    topic: Line | None = Field(default=None, max_length=249)
    error: Lines | None = Field(default=None, max_length=2000)
    cause: Line | None = Field(default=None, max_length=LONGEST_CAUSE)
    ids: list[UUID] | None = Field(default=None, min_length=1, max_length=MOST_RECORDS)

    @model_validator(mode="after")
    def _has_a_condition(self) -> "PoisonFilter":
        self.require_one_of("topic", "error", "cause", "ids")
        return self


class PoisonReplay(RequestBody):
    filter: PoisonFilter
    dry_run: bool = Field(default=False, strict=True)


router = Router("/ops/poison", tag="Operations")


@router.route("GET", "", roles=[Role.OPS], lists=schemas.PoisonSummary)
async def list_poison(
    request: Request,
    paging: PageQuery,
    state: Annotated[PoisonState | None, Query(description="Records in this state.")] = None,
) -> Response:
    """The records and batches from Kafka that could not be handled, newest first."""
    return await read_page(request, queries.list_poison, state, paging=paging)


@router.route("GET", "/{poison_id}", roles=[Role.OPS], returns=schemas.PoisonDetail)
async def get_poison(request: Request, poison_id: UUID) -> Response:
    """The record as it was read: key, value and header values are base64."""
    return await read(request, queries.find_poison, poison_id)


@router.route("POST", "/{poison_id}/replay", roles=[Role.OPS], returns=schemas.PoisonDetail)
async def replay_poison(request: Request, poison_id: UUID) -> Response:
    """Handle the record again, after its cause is fixed. 409 when it was replayed before, or still fails."""
    actor, runtime = Caller.of(request).actor, Runtime.of(request)
    async with command(request) as run:
        return await run.answer(await commands.replay_poison(run.connection, actor, runtime, poison_id))


@router.route("POST", "/{poison_id}/discard", roles=[Role.OPS], returns=schemas.PoisonDetail)
async def discard_poison(request: Request, poison_id: UUID, body: Reason) -> Response:
    """Decide that this record is never to be handled. It is still shown until it is purged. 409 when it is not kept.

    What is owed stays owed: where the reconciler misses what would have followed from the record, it asks for it again.
    """
    actor = Caller.of(request).actor
    async with command(request) as run:
        return await run.answer(await commands.discard_poison(run.connection, actor, poison_id, body.reason))


@router.route("POST", "/replay", roles=[Role.OPS], returns=schemas.PoisonReplayed)
async def replay_poison_records(request: Request, body: PoisonReplay) -> Response:
    """Handle up to 100 records again that failed in the same way, the oldest first. Those that still fail stay kept.

    With `dry_run`, the answer names the records; `filter.ids` then replays exactly these.
    """
    actor, runtime, wanted = Caller.of(request).actor, Runtime.of(request), body.filter
    chosen = PoisonChoice(wanted.topic, wanted.error, wanted.cause, wanted.ids)
    async with command(request) as run:
        found = await poison_commands.choose(run.connection, chosen)
        if body.dry_run:
            return await run.answer(poison_commands.preview(found))
        return await run.answer(await poison_commands.replay_records(run.connection, actor, runtime, found))
