"""`/api/v1/ops`: the operators' routes, the same in every service; those of jobs are in `job_routes`, those of
poison records in `poison_routes`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, WithJsonSchema

from common.access.api_keys import KeyOptions
from common.access.auth import Caller, Role
from common.edge.commands.command import command
from common.edge.commands.query import read, read_page
from common.edge.pages.job_bodies import Reason
from common.edge.requests.fields import Line, RequestBody, WholeNumber
from common.edge.requests.query import InDigits, LargePageQuery, PageQuery
from common.edge.routing.router import Router
from common.operators import commands, queries
from common.operators import results as schemas
from common.operators.status import service_status
from common.operators.status_results import ServiceStatus
from common.service import Runtime


class EventState(StrEnum):
    PENDING = "pending"
    PARKED = "parked"


class DiscrepancyState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


# As a plain int, `1e9999999` in a body would be converted: 80 s for one request.
RateLimit = Annotated[
    WholeNumber,
    Field(ge=0, le=commands.LARGEST_RATE_LIMIT),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": commands.LARGEST_RATE_LIMIT}),
]


def _text(value: object) -> object:
    """Reject JSON numbers: Pydantic reads them as Unix times in seconds, and large ones in milliseconds."""
    if not isinstance(value, str):
        raise ValueError("must be an ISO 8601 time, such as 2026-11-22T10:00:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be between the years 1 and 9999 in UTC") from None


# With an offset, unlike other times: no key is valid for some hours more than its maker thinks.
Expiry = Annotated[AwareDatetime, BeforeValidator(_text, json_schema_input_type=datetime), AfterValidator(_in_utc)]


class ApiKeyCreate(RequestBody):
    name: Line = Field(max_length=255)
    role: Role
    customer_id: UUID | None = None
    expires_at: Expiry | None = None
    rate_limit: RateLimit | None = None
    subject: Line | None = Field(default=None, max_length=255)


class Acknowledgement(Reason):
    details: dict[str, Any] | None = None


Position = Annotated[int, Path(ge=1, lt=2**63, description="The event's place in the outbox."), InDigits]

router = Router("/ops", tag="Operations")


@router.route("GET", "/status", roles=[Role.OPS, Role.MANAGER], returns=ServiceStatus)
async def get_status(request: Request) -> Response:
    """What waits and what failed in this service: events, consumers, jobs by kind, poison records, discrepancies."""
    return await read(request, service_status, Runtime.of(request))


@router.route("GET", "/outbox", roles=[Role.OPS], lists=schemas.UnsentEvent)
async def list_unsent_events(
    request: Request,
    paging: PageQuery,
    state: Annotated[EventState, Query(description="Events in this state.")] = EventState.PARKED,
) -> Response:
    """Events that are not published: by default those that Kafka refused, which are parked."""
    return await read_page(request, queries.list_outbox, state, paging=paging)


@router.route("GET", "/outbox/{position}", roles=[Role.OPS], returns=schemas.OutboxEvent)
async def get_event(request: Request, position: Position) -> Response:
    """The event with its data, whether it is published or not."""
    return await read(request, queries.show_event, position)


@router.route("POST", "/outbox/{position}/replay", roles=[Role.OPS], returns=schemas.ReplayedEvent)
async def replay_event(
    request: Request,
    position: Position,
) -> Response:
    """Let the relay publish a parked event and those of its key behind it. 409 when it is not parked."""
    async with command(request) as run:
        return await run.answer(await commands.replay_event(run.connection, Caller.of(request).actor, position))


@router.route("GET", "/discrepancies", roles=[Role.OPS, Role.MANAGER], lists=schemas.Discrepancy)
async def list_discrepancies(
    request: Request,
    paging: PageQuery,
    state: Annotated[DiscrepancyState | None, Query(description="Discrepancies in this state.")] = None,
    check: Annotated[str | None, Query(max_length=100, pattern="^[ -~]*$", description="Those of this check.")] = None,
) -> Response:
    """What the reconciler of the service has found, newest first: where two places that must agree do not."""
    return await read_page(request, queries.list_discrepancies, state, check, paging=paging)


@router.route("POST", "/discrepancies/{discrepancy_id}/acknowledge", roles=[Role.OPS], returns=schemas.Discrepancy)
async def acknowledge_discrepancy(request: Request, discrepancy_id: UUID, body: Acknowledgement) -> Response:
    """Decide that nothing more is to be done about a discrepancy, such as a loss that is written off. It is not
    reported any more, unless its details change. 409 when it is resolved, or was acknowledged before.

    With `details`, as they were read, 409 also when they have changed since. Details that may change without a new
    event, such as a count, are not compared."""
    actor = Caller.of(request).actor
    async with command(request) as run:
        found = await commands.acknowledge_discrepancy(run.connection, actor, discrepancy_id, body.reason, body.details)
        return await run.answer(found)


@router.route("GET", "/api-keys", roles=[Role.OPS], lists=schemas.ApiKeySummary)
async def list_api_keys(request: Request, paging: LargePageQuery) -> Response:
    """The API keys without their secrets, oldest first; revoked and expired keys are included."""
    return await read_page(request, queries.list_keys, paging=paging)


@router.route("POST", "/api-keys", roles=[Role.OPS], returns=schemas.CreatedApiKey, status=201)
async def create_api_key(request: Request, key: ApiKeyCreate) -> Response:
    """Create an API key for a role; a client's key may be bound to one customer.

    `key` is in the first answer only, and null when the answer is replayed: a client that lost it creates another
    key. It is rejected from `expires_at` on. `rate_limit` is its requests in any 60 seconds, 0 for no limit. `subject`
    identifies the person who uses the key. Use the `sub` claim of that person's bearer tokens: key and tokens then
    count as one actor.
    """
    actor, options = Caller.of(request).actor, KeyOptions(key.customer_id, key.expires_at, key.rate_limit, key.subject)
    async with command(request) as run:
        created = await commands.create_key(run.connection, actor, key.name, key.role, options)
        return await run.answer(created, status=201, without_secret=lambda result: {**result, "key": None})


@router.route("DELETE", "/api-keys/{prefix}", roles=[Role.OPS], returns=schemas.RevokedApiKey)
async def revoke_api_key(
    request: Request,
    prefix: Annotated[str, Path(max_length=255, pattern="^[!-~]+$", description="The part of the key before the dot.")],
) -> Response:
    """Revoke the key with this prefix. Processes accept it until their cache forgets it, some seconds later."""
    async with command(request) as run:
        return await run.answer(await commands.revoke_key(run.connection, Caller.of(request).actor, prefix))
