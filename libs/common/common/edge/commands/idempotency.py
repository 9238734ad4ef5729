"""`Idempotency-Key`: the answer to an unsafe request, stored in the transaction of its effect (ADR 8).

After draft-ietf-httpapi-idempotency-key-header-07, which never became an RFC: its quoted value and the bare one that
most clients send are both accepted. Only successful answers are stored, so a refused request may be sent again.
"""

import hashlib
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from sqlalchemy import BigInteger, Interval, and_, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import insert
from starlette.responses import Response

from common.database.statements import Connection, Record, prepare
from common.database.tables import idempotency_keys as answers
from common.database.transactions import Pool, reading, transaction
from common.errors import Code, Problem

MAXIMUM_LENGTH = 255
# An answer of some ten lines. Smaller ones, which are most, are stored as they are: that costs no processor time.
COMPRESSED_ABOVE_BYTES = 4096
# Stored as `Content-Encoding`: a process of a version that does not compress replays the answer with this header, and
# HTTP clients understand it.
_COMPRESSED = "deflate"
_FAST = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. `headers` are those that belong to the effect, such as Location."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def response(self) -> Response:
        return Response(self.body, self.status, self.headers, "application/json")


class StoredAnswer(Exception):
    """The command ran before, under the same Idempotency-Key; `answer` is the response to repeat."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an Idempotency-Key. `scope` is a hash of caller, method and path."""

    scope: bytes
    key: str
    body_hash: bytes

    @classmethod
    def of(cls, key: str, *, caller: str, method: str, path: str, body: bytes) -> "KeyedRequest":
        """Raises `Problem` VALIDATION_ERROR for a key that is empty, too long or not printable ASCII."""
        if len(key) >= 2 and key[0] == key[-1] == '"':
            key = key[1:-1]
        if not 0 < len(key) <= MAXIMUM_LENGTH or not key.isascii() or not key.isprintable():
            raise Problem.invalid("Idempotency-Key", f"must have 1 to {MAXIMUM_LENGTH} printable ASCII characters")
        scope = hashlib.sha256(f"{caller}\n{method}\n{path}".encode()).digest()
        return cls(scope, key, hashlib.sha256(body).digest())

    @property
    def identity(self) -> Mapping[str, object]:
        return {"scope": self.scope, "key": self.key}

    @property
    def lock(self) -> int:
        """For PostgreSQL's advisory locks, which have 64 bits: two requests practically never share one by accident."""
        return int.from_bytes(hashlib.sha256(self.scope + self.key.encode()).digest()[:8], signed=True)


_of_request = and_(
    answers.c.scope == bindparam("scope"),
    answers.c.key == bindparam("key"),
    answers.c.expires_at > func.clock_timestamp(),
)
_FIND = prepare(select(answers.c.request_hash, answers.c.status, answers.c.headers, answers.c.body).where(_of_request))
_locked = select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)).label("locked")).subquery()
_LOCK_AND_FIND = prepare(
    select(_locked.c.locked, answers.c.request_hash, answers.c.status, answers.c.headers, answers.c.body).select_from(
        _locked.outerjoin(answers, and_(true(), _of_request))
    )
)
_store = insert(answers).values(
    **{name: bindparam(name) for name in ("scope", "key", "request_hash", "status", "headers", "body")},
    expires_at=func.now() + bindparam("retention", type_=Interval),
)
_STORE = prepare(
    _store.on_conflict_do_update(
        index_elements=[answers.c.scope, answers.c.key],
        set_={name: _store.excluded[name] for name in ("request_hash", "status", "headers", "body", "expires_at")},
        where=answers.c.expires_at <= func.clock_timestamp(),
    )
)


@asynccontextmanager
async def keyed_transaction(pool: Pool, request: KeyedRequest) -> AsyncIterator[Connection]:
    """A transaction for the command of a request, which no other request with this key runs at the same time.

    Raises `StoredAnswer`, `Problem` CONFLICT while another request with this key runs, and IDEMPOTENCY_KEY_REUSED when
    the key was used for another body.

    The statement that locks also looks for an answer, with the snapshot from before the lock (READ COMMITTED): another
    request may have committed its answer in between. That shows when ours is to be stored or when the command is
    refused, perhaps because of the other one. Then the transaction is rolled back and the second look finds the answer.
    """
    has_lock = False
    try:
        async with transaction(pool) as connection:
            await _lock(connection, request)
            has_lock = True
            yield connection
    except Problem:
        if has_lock:
            async with reading(pool) as connection:
                await require_unanswered(connection, request)
        raise


async def store_answer(connection: Connection, request: KeyedRequest, answer: Answer, retention: timedelta) -> None:
    """Raises `Problem` CONFLICT when an answer is stored already."""
    body, headers = answer.body, answer.headers
    if len(body) > COMPRESSED_ABOVE_BYTES:
        body, headers = zlib.compress(body, _FAST), {**headers, "Content-Encoding": _COMPRESSED}
    stored_rows = await _STORE.execute(
        connection,
        **request.identity,
        request_hash=request.body_hash,
        status=answer.status,
        headers=headers,
        body=body,
        retention=retention,
    )
    if stored_rows == 0:
        raise _still_running()


async def require_unanswered(connection: Connection, request: KeyedRequest) -> None:
    """Raises `StoredAnswer` when another request with this key was answered since the lock."""
    row = await _FIND.fetch_one(connection, **request.identity)
    if row is not None:
        _raise_answer(request, row)


async def _lock(connection: Connection, request: KeyedRequest) -> None:
    row = await _LOCK_AND_FIND.fetch_one(connection, lock=request.lock, **request.identity)
    if row is None or (row["status"] is None and not row["locked"]):
        raise _still_running()
    if row["status"] is not None:
        _raise_answer(request, row)


def _raise_answer(request: KeyedRequest, row: Record) -> NoReturn:
    if row["request_hash"] != request.body_hash:
        raise Problem(Code.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used for another request body.")
    headers = dict(row["headers"])
    is_compressed = headers.pop("Content-Encoding", None) == _COMPRESSED
    body = zlib.decompress(row["body"]) if is_compressed else row["body"]
    raise StoredAnswer(Answer(row["status"], {**headers, "Idempotency-Replayed": "true"}, body))


def _still_running() -> Problem:
    return Problem(Code.CONFLICT, "A request with this Idempotency-Key is still running.", retry_after=1)
