"""The last error of the Kafka client: logged, and for some seconds the reason why the role is not ready."""

import time

import structlog

from common.telemetry.rate_limited_log import RateLimitedLog

SECONDS = 10.0

_log = structlog.get_logger(__name__)


class ClientErrors:
    def __init__(self) -> None:
        self._log = RateLimitedLog(_log)
        self._last: tuple[str, float] | None = None

    def report(self, error: Exception) -> None:
        kind = type(error).__name__
        self._last = f"{kind}: {error}", time.monotonic()
        self._log.error("the Kafka client failed", about=kind, error=repr(error))

    @property
    def recent(self) -> str | None:
        """The last error, if it was within the last `SECONDS`."""
        if self._last is None or time.monotonic() - self._last[1] > SECONDS:
            return None
        return self._last[0]
