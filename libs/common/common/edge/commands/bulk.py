"""Runs one command for each of many aggregates: one transaction and one result each, once per `Idempotency-Key`
(ADR 26).

With a key, each result is stored under a key of its own in the transaction of its effect. After a crash, a repeat of
the request finds the stored results, runs the rest, and has the answer that the first request would have had.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response

from common import failpoints
from common.access.auth import Caller
from common.database.failures import OutcomeUnknown, is_connection_failure
from common.database.statements import Connection
from common.database.transactions import reading, transaction
from common.edge.admission.request_slots import RequestSlots
from common.edge.admission.running_requests import unavailable
from common.edge.commands.command import keyed_request_of
from common.edge.commands.idempotency import (
    Answer,
    KeyedRequest,
    StoredAnswer,
    keyed_transaction,
    require_unanswered,
    store_answer,
)
from common.edge.commands.query import encode_json
from common.errors import Code, Problem
from common.service import Runtime

# Of one process: transactions of bulk requests at the same time. Others have the other connections.
TRANSACTIONS_AT_ONCE = 2
# The part of a request's time limit within which transactions begin.
_SHARE_OF_TIME = 0.6
_SECONDS_BETWEEN_LOOKS = 0.1

_log = structlog.get_logger(__name__)

# The JSON members of one result.
Result: TypeAlias = dict[str, Any]
# Changes one aggregate, or returns the members of what refused it. Raises `Problem`.
Step: TypeAlias = Callable[[Connection, UUID], Awaitable[Result | Problem]]


class BulkCommands:
    """The bulk requests of one process, which share `TRANSACTIONS_AT_ONCE`."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(TRANSACTIONS_AT_ONCE)
        self._requests = RequestSlots("requests for many objects")

    async def answer(
        self, request: Request, ids: Iterable[UUID], step: Step, render: Callable[[list[Result]], object]
    ) -> Response:
        """The answer with one result per id: the members that `step` gave, or `{"problem": …}`.

        Stored if all results are final. Raises `Problem` UNAVAILABLE while too many bulk requests run, and what
        `keyed_transaction` raises.
        """
        with self._requests.one_for(Caller.of(request)):
            bulk = await _Bulk.begin(request)
            results = await self._results(bulk, list(ids), step)
            return await bulk.answer(encode_json(render(results)), is_final=all(map(_is_final, results)))

    async def _results(self, bulk: "_Bulk", ids: list[UUID], step: Step) -> list[Result]:
        results: dict[UUID, Result] = {}
        waiting_ids = iter(ids)

        async def work() -> None:
            for each in waiting_ids:
                async with self._slots:
                    results[each] = await bulk.result(each, step)

        async with asyncio.TaskGroup() as group:
            for _ in range(TRANSACTIONS_AT_ONCE):
                group.create_task(work())
        return [results[each] for each in ids]


@dataclass(frozen=True, slots=True)
class _Bulk:
    """One bulk request. `deadline` is by the event loop's clock."""

    request: Request
    keyed: KeyedRequest | None
    deadline: float

    @classmethod
    async def begin(cls, request: Request) -> "_Bulk":
        """Raises `StoredAnswer`, `Problem` IDEMPOTENCY_KEY_REUSED, or CONFLICT."""
        runtime = Runtime.of(request)
        seconds = runtime.settings.http_request_seconds * _SHARE_OF_TIME
        bulk = cls(request, await keyed_request_of(request), asyncio.get_running_loop().time() + seconds)
        if bulk.keyed is not None:
            async with reading(runtime.pool) as connection:
                await require_unanswered(connection, bulk.keyed)
            # After a crash there may be results but no answer: this row knows the body that the key was used for.
            await bulk._store_once(_part(bulk.keyed, b"begun"), Answer(202, {}, b""))
        return bulk

    async def answer(self, body: bytes, *, is_final: bool) -> Response:
        answer = Answer(200, {}, body)
        if self.keyed is not None and is_final:
            answer = await self._store_once(self.keyed, answer)
        return answer.response

    async def result(self, each: UUID, step: Step) -> Result:
        """What `step` gave, now or in an earlier request with this key."""
        keyed = None if self.keyed is None else _part(self.keyed, each.bytes)
        is_in_work = False
        while asyncio.get_running_loop().time() < self.deadline:
            try:
                return await self._once(each, step, keyed)
            except Problem as problem:
                is_in_work = keyed is not None and _is_in_work(problem)
                if not is_in_work:
                    return _problem(problem)
            except Exception as error:
                return _failed(error, each)
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        # What the other request does with it is not known yet.
        return _problem(unavailable("There was no time left for it", is_unknown=is_in_work))

    async def _once(self, each: UUID, step: Step, keyed: KeyedRequest | None) -> Result:
        """Raises `Problem` CONFLICT while a request with the same key has this one in work."""
        pool = Runtime.of(self.request).pool
        if keyed is None:
            async with transaction(pool) as connection:
                result = _members(await step(connection, each))
        else:
            try:
                async with keyed_transaction(pool, keyed) as connection:
                    result = _members(await step(connection, each))
                    await store_answer(connection, keyed, Answer(200, {}, encode_json(result)), self._retention)
            except StoredAnswer as stored:
                return _decode(stored.answer.body)
            except Problem as problem:
                if _is_in_work(problem):
                    raise
                return await self._refusal(problem, keyed)
        failpoints.hit("bulk.after_commit")
        return result

    async def _refusal(self, problem: Problem, keyed: KeyedRequest) -> Result:
        """Of a problem that was raised, and so nothing written: stored too, so that a repeat has the same result.
        Raises what `_once` raises."""
        result = _problem(problem)
        if not _is_final(result):
            return result
        return _decode((await self._store_once(keyed, Answer(200, {}, encode_json(result)))).body)

    async def _store_once(self, keyed: KeyedRequest, answer: Answer) -> Answer:
        """The answer, or the one that is stored already."""
        try:
            async with keyed_transaction(Runtime.of(self.request).pool, keyed) as connection:
                await store_answer(connection, keyed, answer, self._retention)
        except StoredAnswer as stored:
            return stored.answer
        return answer

    @property
    def _retention(self) -> timedelta:
        return timedelta(hours=Runtime.of(self.request).settings.idempotency_retention_hours)


def _part(keyed: KeyedRequest, name: bytes) -> KeyedRequest:
    """The same key in a scope of its own."""
    return replace(keyed, scope=hashlib.sha256(keyed.scope + name).digest())


def _is_in_work(problem: Problem) -> bool:
    """Whether it is the refusal of `keyed_transaction` that another request with this key runs."""
    return problem.code is Code.CONFLICT and problem.retry_after is not None


def _members(result: Result | Problem) -> Result:
    return _problem(result) if isinstance(result, Problem) else result


def _problem(problem: Problem) -> Result:
    members = {"code": problem.code.wire_name, "message": problem.message, "details": problem.details}
    return {"problem": members}


def _is_final(result: Result) -> bool:
    """Whether the result is stored, so that a repeated request returns it again; temporary failures are not."""
    return "problem" not in result or result["problem"]["code"] not in _NOT_FINAL


_NOT_FINAL = {Code.UNAVAILABLE.wire_name, Code.INTERNAL_ERROR.wire_name, Code.RATE_LIMITED.wire_name}


def _failed(error: Exception, each: UUID) -> Result:
    """One failure must not hide the results of the others."""
    if is_connection_failure(error):
        _log.warning("dependency unavailable", reason=f"{type(error).__name__}: {error}", id=str(each))
        is_unknown = isinstance(error, OutcomeUnknown)
        return _problem(unavailable("The database was too busy or not available", is_unknown=is_unknown))
    _log.error("one of many commands failed", exc_info=error, id=str(each))
    return _problem(Problem(Code.INTERNAL_ERROR, "Something went wrong on our side."))


def _decode(body: bytes) -> Result:
    result: Result = msgspec.json.decode(body)
    return result
