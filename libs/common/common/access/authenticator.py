"""Authentication by API key: the holder of a key, from a cache of some seconds or from the database."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

from common.access import api_keys
from common.access.actors import subject_id
from common.access.auth import Identity, Role
from common.database.transactions import Pool, reading
from common.errors import Code, Problem

_CACHED_KEYS_LIMIT = 10_000
_WAITING_LIMIT = 1_000
_SECONDS_PER_QUERY = 0.1
# A key that was made elsewhere (`api-keys ensure`) may have any prefix up to the limit of the operators' routes.
_LONGEST_PREFIX = 255
_NO_HASH = bytes(hashlib.sha256().digest_size)


class InvalidKey(Problem):
    """UNAUTHENTICATED. `prefix` is that of an existing key with another secret; None for any other key."""

    def __init__(self, prefix: str | None = None) -> None:
        super().__init__(Code.UNAUTHENTICATED, "The API key is not valid.")
        self.prefix = prefix


class Authenticator:
    """Looks each key up in the database once in `cache_seconds` at most, also when many requests wait for it.

    `issuer` is that of the bearer tokens whose subjects keys may have.
    """

    def __init__(
        self, pool: Pool, cache_seconds: float, clock: Callable[[], float] = time.monotonic, *, issuer: str = ""
    ) -> None:
        self._look_ups = _LookUps(pool)
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._issuer = issuer
        self._known: dict[bytes, tuple[Identity, float]] = {}
        self._looking: dict[bytes, asyncio.Task[Identity]] = {}

    def cached(self, key: bytes) -> Identity | None:
        """The key's holder if it is in the cache."""
        entry = self._known.get(hashlib.sha256(key).digest())
        return entry[0] if entry is not None and self._clock() < entry[1] else None

    def was_valid(self, key: bytes) -> bool:
        """Whether the last look-up of this key found its holder."""
        return hashlib.sha256(key).digest() in self._known

    async def look_up(self, key: bytes, *, together: bool = False) -> Identity:
        """The key's holder; `together` with others (`_LookUps`). Raises `InvalidKey` for a key that is unknown,
        revoked or expired, and what the look-up raises."""
        digest = hashlib.sha256(key).digest()
        look_up_task = self._looking.get(digest)
        if look_up_task is None:
            look_up_task = self._looking[digest] = asyncio.create_task(self._look_up(digest, key, together))
            look_up_task.add_done_callback(lambda _: self._looking.pop(digest))
        return await asyncio.shield(look_up_task)

    async def _look_up(self, digest: bytes, key: bytes, together: bool) -> Identity:
        looked_up_at = self._clock()
        prefix, secret = split_key(key)
        row = await (self._look_ups.find_together if together else self._look_ups.find)(prefix)
        # An unknown prefix needs the same hash and comparison as a known one: times do not reveal which prefixes exist.
        stored_hash = _NO_HASH if row is None else row["secret_hash"]
        if not hmac.compare_digest(stored_hash, api_keys.hash_secret(secret)) or row is None:
            self._known.pop(digest, None)
            raise InvalidKey(None if row is None else prefix)
        subject = row["subject"]
        # A person is one actor, with a key and with a token (ADR 49).
        actor_id = api_keys.entity_id(prefix) if subject is None else subject_id(self._issuer, subject)
        holder = Identity(actor_id, prefix, Role(row["role"]), row["customer_id"], prefix, row["rate_limit"])
        valid_for = row["valid_for"]
        cache_seconds = self._cache_seconds
        if valid_for is not None:  # the database's clock decides, and it was read after ours
            cache_seconds = min(cache_seconds, valid_for.total_seconds())
        if len(self._known) >= _CACHED_KEYS_LIMIT:
            self._known.clear()
        self._known[digest] = (holder, looked_up_at + cache_seconds)
        return holder


class _LookUps:
    """`find` queries one prefix. `find_together` queries all prefixes of a tenth of a second together: any number of
    made-up keys costs one query, and a valid key among them is found as well."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._querying: asyncio.Task[None] | None = None

    async def find(self, prefix: str) -> Any:
        """The row of a key that is neither revoked nor expired, or None."""
        async with reading(self._pool) as connection:
            return await api_keys.find_valid(connection, prefix)

    async def find_together(self, prefix: str) -> Any:
        """As `find`, after up to a tenth of a second. Raises `Problem` RATE_LIMITED when too many look-ups wait."""
        row = self._waiting.get(prefix)
        if row is None:
            if len(self._waiting) >= _WAITING_LIMIT:
                raise Problem(Code.RATE_LIMITED, "Too many unknown API keys were tried.", retry_after=1)
            row = self._waiting[prefix] = asyncio.get_running_loop().create_future()
        if self._querying is None or self._querying.done():
            self._querying = asyncio.create_task(self._query_all())
        return await asyncio.shield(row)

    async def _query_all(self) -> None:
        while self._waiting:
            await asyncio.sleep(_SECONDS_PER_QUERY)
            waiting, self._waiting = self._waiting, {}
            try:
                async with reading(self._pool) as connection:
                    rows = await api_keys.find_valid_among(connection, waiting)
            except Exception as error:  # raised in each waiting look-up
                for row in waiting.values():
                    row.set_exception(error)
                    row.exception()  # so that asyncio does not log it if nobody waits any more
            else:
                for prefix, row in waiting.items():
                    row.set_result(rows.get(prefix))


def split_key(key: bytes) -> tuple[str, bytes]:
    """Prefix and secret. Raises `InvalidKey` for a text that is not a key."""
    prefix, dot, secret = key.partition(b".")
    if not (prefix and dot and secret and len(prefix) <= _LONGEST_PREFIX):
        raise InvalidKey
    if not (key.isascii() and key.decode().isprintable()):
        raise InvalidKey
    return prefix.decode(), secret
