"""`Idempotency-Key`: the answer to an unsafe request, stored in the transaction of its effect (ADR 0008).

After draft-ietf-httpapi-idempotency-key-header-07, which never became an RFC: its quoted value and the bare one that
most clients send are both accepted. Only successful answers are stored, so a refused request may be sent again.
"""

import hashlib
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from sqlalchemy import BigInteger, Interval, and_, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import insert

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
    """A response. `headers` are those that belong to the effect, such as Location.

    `stored_body` replaces a body that contains a secret, in the database and in later answers.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    stored_body: bytes | None = None


Effect: TypeAlias = Callable[[Connection], Awaitable[Answer | Problem]]


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
    def lock(self) -> int:
        """For PostgreSQL's advisory locks, which have 64 bits: two requests practically never share one by accident."""
        return int.from_bytes(hashlib.sha256(self.scope + self.key.encode()).digest()[:8], signed=True)


class _AnsweredMeanwhile(Exception):
    """Another request with this key was answered between our look-up and our lock (see `answer_once`)."""


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


async def answer_once(pool: Pool, request: KeyedRequest, effect: Effect, retention: timedelta) -> Answer | Problem:
    """Run the effect in a transaction that stores its answer, or return the answer that is stored under the key.

    Raises `Problem` CONFLICT while another request with this key runs, IDEMPOTENCY_KEY_REUSED when the key was used for
    another body, and what the effect raises.

    The statement that locks also looks for an answer, with the snapshot from before the lock (READ COMMITTED): another
    request may have committed its answer in between. That shows when ours is to be stored or, when the effect was
    refused (perhaps because of the other one), in a second look-up. The second run then finds the answer.
    """
    try:
        return await _answer(pool, request, effect, retention)
    except _AnsweredMeanwhile:
        return await _answer(pool, request, effect, retention)


async def _answer(pool: Pool, request: KeyedRequest, effect: Effect, retention: timedelta) -> Answer | Problem:
    has_lock = False
    try:
        async with transaction(pool) as connection:
            if (stored := await _lock_and_find(connection, request)) is not None:
                return stored
            has_lock = True
            outcome = await effect(connection)
            if isinstance(outcome, Answer):
                await _store_answer(connection, request, outcome, retention)
            else:
                await _check_unanswered(connection, request)
            return outcome
    except Problem:
        if has_lock:
            async with reading(pool) as connection:
                await _check_unanswered(connection, request)
        raise


async def _lock_and_find(connection: Connection, request: KeyedRequest) -> Answer | None:
    """The stored answer; None when there is none, and this transaction has the lock until it ends."""
    row = await _LOCK_AND_FIND.fetch_one(connection, lock=request.lock, scope=request.scope, key=request.key)
    if row is None or (row["status"] is None and not row["locked"]):
        raise Problem(Code.CONFLICT, "A request with this Idempotency-Key is still running.", retry_after=1)
    if row["status"] is None:
        return None
    if row["request_hash"] != request.body_hash:
        raise Problem(Code.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used for another request body.")
    return _load(row)


def _load(row: Record) -> Answer:
    headers = dict(row["headers"])
    is_compressed = headers.pop("Content-Encoding", None) == _COMPRESSED
    body = zlib.decompress(row["body"]) if is_compressed else row["body"]
    return Answer(row["status"], {**headers, "Idempotency-Replayed": "true"}, body)


async def _check_unanswered(connection: Connection, request: KeyedRequest) -> None:
    if await _FIND.fetch_one(connection, scope=request.scope, key=request.key) is not None:
        raise _AnsweredMeanwhile


async def _store_answer(connection: Connection, request: KeyedRequest, answer: Answer, retention: timedelta) -> None:
    body, headers = answer.body if answer.stored_body is None else answer.stored_body, answer.headers
    if len(body) > COMPRESSED_ABOVE_BYTES:
        body, headers = zlib.compress(body, _FAST), {**headers, "Content-Encoding": _COMPRESSED}
    stored_rows = await _STORE.execute(
        connection,
        scope=request.scope,
        key=request.key,
        request_hash=request.body_hash,
        status=answer.status,
        headers=headers,
        body=body,
        retention=retention,
    )
    if stored_rows == 0:
        raise _AnsweredMeanwhile
