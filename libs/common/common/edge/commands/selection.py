"""Selections: what a dry run showed, kept for the request that then changes exactly this (ADR 26)."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import msgspec
from starlette.requests import Request

from common.access.auth import Caller
from common.database.transactions import reading
from common.edge.commands.command import Command
from common.edge.commands.idempotency import Answer, KeyedRequest, StoredAnswer, require_unanswered, store_answer
from common.edge.commands.query import encode_json
from common.errors import Code, Problem
from common.service import Runtime

_decode = msgspec.json.Decoder(dict[UUID, int]).decode


async def store_selection(run: Command, versions: Mapping[UUID, int], change: object) -> str:
    """Store the selected ids and their versions in the transaction of the dry run, like the answer to an
    `Idempotency-Key`; returns the selection's key.

    It is valid for this caller and this change.
    """
    request, key = run.request, secrets.token_urlsafe(18)
    body = encode_json({str(each): version for each, version in versions.items()})
    retention = timedelta(hours=Runtime.of(request).settings.idempotency_retention_hours)
    await store_answer(run.connection, _keyed(request, key, change), Answer(200, {}, body), retention)
    return key


async def find_selection(request: Request, key: str, change: object) -> dict[UUID, int]:
    """The ids and their versions. Raises `Problem` VALIDATION_ERROR for a key that is unknown, or of another change."""
    try:
        async with reading(Runtime.of(request).pool) as connection:
            await require_unanswered(connection, _keyed(request, key, change))
    except StoredAnswer as stored:
        return _decode(stored.answer.body)
    except Problem as problem:
        if problem.code is not Code.IDEMPOTENCY_KEY_REUSED:
            raise
        raise Problem.invalid("selection", "was made for another change; repeat the dry run") from problem
    raise Problem.invalid("selection", "is not known, or has expired; repeat the dry run")


def _keyed(request: Request, key: str, change: object) -> KeyedRequest:
    scope = f"{Caller.of(request).scope}\nselection\n{request.scope['path']}"
    return KeyedRequest(hashlib.sha256(scope.encode()).digest(), key, hashlib.sha256(encode_json(change)).digest())
