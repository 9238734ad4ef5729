"""The provider's keys as this process knows them: loaded when they are needed, and kept while they are not too old."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from common.access.bearer.invalid_token import InvalidToken
from common.access.bearer.signing_keys import SigningKey, SigningKeys
from common.errors import Problem
from common.telemetry.rate_limited_log import RateLimitedLog

# Between the beginnings of two loads: made-up key ids cause no more of them.
SECONDS_BETWEEN_LOADS = 2.0
# Requests with unknown key ids that wait for the next load.
WAITING_LIMIT = 100

_log = RateLimitedLog(structlog.get_logger(__name__))


class KeySource:
    """One load at a time, however many requests wait for it; none holds a database connection.

    `load` returns the JWK Set, within seconds. After `cache_seconds` the keys are loaded again in the background. If
    that fails they are used on until `max_age_seconds` after they were loaded.
    """

    def __init__(
        self,
        load: Callable[[], Awaitable[bytes]],
        *,
        cache_seconds: float,
        max_age_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._load = load
        self._cache_seconds = cache_seconds
        self._max_age_seconds = max(cache_seconds, max_age_seconds)
        self._clock = clock
        self._sleep = sleep
        self._keys: SigningKeys | None = None
        self._document = b""
        self._due_at = self._usable_until = self._next_load_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self._has_failed = False
        # Loads are numbered: the last one that began, and the last one that ended.
        self._begun = self._ended = 0
        self._waiting = 0

    def usable(self) -> SigningKeys | None:
        """The known keys, the same object until the provider changes them; None when there are none, or too old ones.

        Starts a load when the keys are due for it.
        """
        now = self._clock()
        if now >= self._due_at and now >= self._next_load_at and self._loading is None:
            self._start()
        return self._keys if now < self._usable_until else None

    async def find(self, kid: str | None, algorithm: str) -> SigningKey:
        """The key with this id, after a load if it is unknown. Raises `InvalidToken` for a key that the provider does
        not have, and `Problem` UNAVAILABLE where that cannot be known.

        Only a load that began after the call tells: the provider may have added the key after an earlier one.
        """
        begun_before, keys = self._begun, self.usable()
        while True:
            key = keys.find(kid, algorithm) if keys is not None else None
            if key is not None:
                return key
            if self._ended > begun_before:
                break
            await self._next_load(has_keys=keys is not None)
            keys = self.usable()
        if keys is None or self._has_failed:
            raise _unavailable()
        raise InvalidToken("The key of the token is not known.")

    async def _next_load(self, *, has_keys: bool) -> None:
        """Wait for the load that runs, or else for the next one, which all share. Made-up key ids must not collect
        requests that wait, nor delay the answer while the provider fails."""
        if has_keys and self._waiting >= WAITING_LIMIT:
            raise _unavailable()
        if self._loading is None:
            seconds = max(0.0, self._next_load_at - self._clock())
            if seconds and self._has_failed:
                raise _unavailable()
            self._start(seconds)
        assert self._loading is not None  # noqa: S101 - started above
        self._waiting += 1
        try:
            await asyncio.shield(self._loading)
        finally:
            self._waiting -= 1

    def _start(self, after_seconds: float = 0.0) -> None:
        self._loading = asyncio.create_task(self._load_keys(after_seconds))
        self._loading.add_done_callback(self._forget)

    def _forget(self, _: "asyncio.Task[None]") -> None:
        self._loading = None

    async def _load_keys(self, after_seconds: float) -> None:
        if after_seconds:
            await self._sleep(after_seconds)
        started = self._clock()
        self._next_load_at = started + SECONDS_BETWEEN_LOADS
        self._begun += 1
        try:
            document = await self._load()
            if document != self._document or self._keys is None:
                self._keys, self._document = SigningKeys(document), document
        except Exception as error:  # of the network, of the file, or about the document: known keys are used on
            self._has_failed = True
            _log.warning("the keys of the identity provider were not loaded", reason=f"{type(error).__name__}: {error}")
        else:
            self._has_failed = False
            self._due_at = started + self._cache_seconds
            self._usable_until = started + self._max_age_seconds
        self._ended = self._begun


def _unavailable() -> Problem:
    return Problem.unavailable("The keys of the identity provider cannot be read now; please try again.")
