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
    ) -> None:
        self._load = load
        self._cache_seconds = cache_seconds
        self._max_age_seconds = max(cache_seconds, max_age_seconds)
        self._clock = clock
        self._keys: SigningKeys | None = None
        self._document = b""
        self._due_at = self._usable_until = self._next_load_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self._has_failed = False

    def usable(self) -> SigningKeys | None:
        """The known keys, the same object until the provider changes them; None when there are none, or too old ones.

        Starts a load when the keys are due for it.
        """
        now = self._clock()
        if now >= self._due_at:
            self._start(now)
        return self._keys if now < self._usable_until else None

    async def find(self, kid: str | None, algorithm: str) -> SigningKey:
        """The key with this id, after a load if it is unknown. Raises `InvalidToken` for a key that the provider does
        not have, and `Problem` UNAVAILABLE where that cannot be known."""
        keys = self.usable()
        key = keys.find(kid, algorithm) if keys is not None else None
        if key is not None:
            return key
        self._start(self._clock())
        if self._loading is not None:
            await asyncio.shield(self._loading)
        keys = self.usable()
        key = keys.find(kid, algorithm) if keys is not None else None
        if key is not None:
            return key
        if keys is None or self._has_failed:
            raise Problem.unavailable("The keys of the identity provider cannot be read now; please try again.")
        raise InvalidToken("The key of the token is not known.")

    def _start(self, now: float) -> None:
        """Load, unless a load runs or began a moment ago."""
        if self._loading is None and now >= self._next_load_at:
            self._next_load_at = now + SECONDS_BETWEEN_LOADS
            self._loading = asyncio.create_task(self._load_keys())
            self._loading.add_done_callback(self._forget)

    def _forget(self, _: "asyncio.Task[None]") -> None:
        self._loading = None

    async def _load_keys(self) -> None:
        started = self._clock()
        try:
            document = await self._load()
            if document != self._document or self._keys is None:
                self._keys, self._document = SigningKeys(document), document
        except Exception as error:  # of the network, of the file, or about the document: known keys are used on
            self._has_failed = True
            _log.warning("the keys of the identity provider were not loaded", reason=f"{type(error).__name__}: {error}")
            return
        self._has_failed = False
        self._due_at = started + self._cache_seconds
        self._usable_until = started + self._max_age_seconds
