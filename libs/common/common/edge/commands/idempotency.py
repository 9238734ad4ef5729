"""`Idempotency-Key`: the answer to an unsafe request, kept in the transaction of its effect (ADR 0008).

After draft-ietf-httpapi-idempotency-key-header-07, which never became an RFC: its quoted value and the bare one that
most clients send are both understood. Only successful answers are kept, so a refused request may be tried again.
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
from common.database.tables import idempotency_keys as kept
from common.database.transactions import Pool, reading, transaction
from common.errors import Code, Problem, validation_error

MAXIMUM_LENGTH = 255
# An answer of some ten lines. Smaller ones, which are most, are kept as they are: that costs no processor time.
COMPRESSED_ABOVE_BYTES = 4096
# Kept with its header, a compressed answer is still one that a client understands: the processes of a version that
# compressed nothing replay it as it is kept, while they are replaced.
_COMPRESSED = "deflate"
_FAST = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it goes to the client. Of the headers only those that belong to the effect, such as Location.

    `kept_body` is what is kept, and replayed, in place of a body that holds a secret.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    kept_body: bytes | None = None


Effect: TypeAlias = Callable[[Connection], Awaitable[Answer | Problem]]


@dataclass(frozen=True, slots=True)
class Claim:
    """A request under an Idempotency-Key: `scope` is who asks for which effect on what."""

    scope: bytes
    key: str
    request_hash: bytes

    @property
    def lock(self) -> int:
        """For PostgreSQL's advisory locks, which are 64 bits wide; two claims share one by accident about never."""
        return int.from_bytes(hashlib.sha256(self.scope + self.key.encode()).digest()[:8], signed=True)


class _AnsweredMeanwhile(Exception):
    """Another request with this key was answered between our look-up and our lock (see `answer_once`)."""


def claim(key: str, *, caller: str, method: str, path: str, body: bytes) -> Claim:
    """Raises `Problem` VALIDATION_ERROR for a key that is empty, too long or not printable ASCII."""
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not 0 < len(key) <= MAXIMUM_LENGTH or not key.isascii() or not key.isprintable():
        raise validation_error("Idempotency-Key", f"must have 1 to {MAXIMUM_LENGTH} printable ASCII characters")
    scope = hashlib.sha256(f"{caller}\n{method}\n{path}".encode()).digest()
    return Claim(scope, key, hashlib.sha256(body).digest())


_of_claim = and_(
    kept.c.scope == bindparam("scope"), kept.c.key == bindparam("key"), kept.c.expires_at > func.clock_timestamp()
)
_FIND = prepare(select(kept.c.request_hash, kept.c.status, kept.c.headers, kept.c.body).where(_of_claim))
_locked = select(func.pg_try_advisory_xact_lock(bindparam("lock", type_=BigInteger)).label("locked")).subquery()
_LOCK_AND_FIND = prepare(
    select(_locked.c.locked, kept.c.request_hash, kept.c.status, kept.c.headers, kept.c.body).select_from(
        _locked.outerjoin(kept, and_(true(), _of_claim))
    )
)
_store = insert(kept).values(
    **{name: bindparam(name) for name in ("scope", "key", "request_hash", "status", "headers", "body")},
    expires_at=func.now() + bindparam("retention", type_=Interval),
)
_STORE = prepare(
    _store.on_conflict_do_update(
        index_elements=[kept.c.scope, kept.c.key],
        set_={name: _store.excluded[name] for name in ("request_hash", "status", "headers", "body", "expires_at")},
        where=kept.c.expires_at <= func.clock_timestamp(),
    )
)


async def answer_once(pool: Pool, claim: Claim, effect: Effect, retention: timedelta) -> Answer | Problem:
    """Run the effect in a transaction that keeps its answer, or replay the answer that the key got before.

    Raises `Problem` CONFLICT while another request with this key runs, IDEMPOTENCY_KEY_REUSED when the key was used for
    another body, and what the effect raises.

    The statement that locks also looks, and so with the snapshot of before the lock (READ COMMITTED): the answer may
    have been committed in between. That shows when ours is to be kept, or else in a second look before any refusal,
    which may well be due to the very effect that the key has had. The next run then finds the answer.
    """
    try:
        return await _answer(pool, claim, effect, retention)
    except _AnsweredMeanwhile:
        return await _answer(pool, claim, effect, retention)


async def _answer(pool: Pool, claim: Claim, effect: Effect, retention: timedelta) -> Answer | Problem:
    ours = False
    try:
        async with transaction(pool) as connection:
            if (stored := await _begin(connection, claim)) is not None:
                return stored
            ours = True
            outcome = await effect(connection)
            if isinstance(outcome, Answer):
                await _keep(connection, claim, outcome, retention)
            else:
                await _check_still_open(connection, claim)
            return outcome
    except Problem:
        if ours:
            async with reading(pool) as connection:
                await _check_still_open(connection, claim)
        raise


async def _begin(connection: Connection, claim: Claim) -> Answer | None:
    """The answer to replay, or None when the effect is ours to have: others are then kept out until the transaction
    ends."""
    row = await _LOCK_AND_FIND.fetch_one(connection, lock=claim.lock, scope=claim.scope, key=claim.key)
    if row is None or (row["status"] is None and not row["locked"]):
        raise Problem(Code.CONFLICT, "A request with this Idempotency-Key is still running.", retry_after=1)
    if row["status"] is None:
        return None
    if row["request_hash"] != claim.request_hash:
        raise Problem(Code.IDEMPOTENCY_KEY_REUSED, "This Idempotency-Key was used for another request body.")
    return _replayed(row)


def _replayed(row: Record) -> Answer:
    headers = dict(row["headers"])
    is_compressed = headers.pop("Content-Encoding", None) == _COMPRESSED
    body = zlib.decompress(row["body"]) if is_compressed else row["body"]
    return Answer(row["status"], {**headers, "Idempotency-Replayed": "true"}, body)


async def _check_still_open(connection: Connection, claim: Claim) -> None:
    if await _FIND.fetch_one(connection, scope=claim.scope, key=claim.key) is not None:
        raise _AnsweredMeanwhile


async def _keep(connection: Connection, claim: Claim, answer: Answer, retention: timedelta) -> None:
    body, headers = answer.body if answer.kept_body is None else answer.kept_body, answer.headers
    if len(body) > COMPRESSED_ABOVE_BYTES:
        body, headers = zlib.compress(body, _FAST), {**headers, "Content-Encoding": _COMPRESSED}
    kept_now = await _STORE.execute(
        connection,
        scope=claim.scope,
        key=claim.key,
        request_hash=claim.request_hash,
        status=answer.status,
        headers=headers,
        body=body,
        retention=retention,
    )
    if kept_now == 0:
        raise _AnsweredMeanwhile
