"""What goes wrong in the Kafka client libraries, which catch it and go on: logged, and a reason not to be ready."""

import logging
import time
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import codec

from common.telemetry.rate_limited_log import RateLimitedLog

# FastStream pauses for as long as 5 seconds after an error of its client; one that lasts is seen again by then.
SECONDS = 10.0

_log = structlog.get_logger(__name__)


class ClientErrors:
    """FastStream's logger: it says what it caught here, and nowhere else."""

    def __init__(self) -> None:
        self._log = RateLimitedLog(_log)
        self._last: tuple[str, float] | None = None

    def log(self, level: int, message: Any, /, *, exc_info: Any = None, extra: Mapping[str, Any] | None = None) -> None:
        del extra  # topics and group, which the process's other lines name as well
        if level >= logging.ERROR:
            kind = type(exc_info).__name__
            self._last = f"{kind}: {exc_info}" if exc_info else str(message), time.monotonic()
            self._log.error("the Kafka client failed", about=kind, reason=str(message), error=repr(exc_info))

    @property
    def recent(self) -> str | None:
        """The last error, if it was within the last seconds."""
        if self._last is None or time.monotonic() - self._last[1] > SECONDS:
            return None
        return self._last[0]


def missing_codecs() -> list[str]:
    """What topics and producers may compress with, and this process cannot read."""
    there = {
        "gzip": codec.has_gzip(), "snappy": codec.has_snappy(), "lz4": codec.has_lz4(), "zstd": codec.has_zstd(),
    }  # fmt: skip
    return [name for name, is_there in there.items() if not is_there]
