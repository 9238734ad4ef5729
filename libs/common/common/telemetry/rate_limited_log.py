"""Log lines that repeat for as long as something is broken: a few in each interval, with the number left out."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Any

SECONDS = 10.0
# One place of a library's code writes for several topics or brokers, and names them in the text only.
LIBRARY_LINES = 5
LIBRARIES = ("aiokafka", "asyncio", "faststream")
# A limit with more keys than this forgets those whose interval is over.
MOST_KEYS = 1_000


class RepeatLimit:
    """Admits each key at most `lines` times in `seconds`."""

    def __init__(
        self, *, lines: int = 1, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lines = lines
        self._seconds = seconds
        self._clock = clock
        self._intervals: dict[Hashable, tuple[float, int]] = {}  # when it began, and how many asked since

    def admit(self, key: Hashable) -> int | None:
        """How many were refused for this key in its interval before; None when this one is refused as well."""
        now = self._clock()
        began, asked = self._intervals.get(key, (now, 0))
        if now - began < self._seconds:
            self._intervals[key] = began, asked + 1
            return 0 if asked < self._lines else None
        self._forget_old(now)
        self._intervals[key] = now, 1
        return max(asked - self._lines, 0)

    def _forget_old(self, now: float) -> None:
        if len(self._intervals) > MOST_KEYS:
            self._intervals = {
                key: interval for key, interval in self._intervals.items() if now - interval[0] < self._seconds
            }


class RateLimitedLog:
    """A structlog logger that writes each text at most once in `seconds`.

    `about` tells apart what has the same text: a topic, a partition. The next line that is written after some were
    left out carries their number as `left_out`.
    """

    def __init__(self, log: Any, *, seconds: float = SECONDS) -> None:
        self._log = log
        self._limit = RepeatLimit(seconds=seconds)

    def warning(self, event: str, *, about: Hashable = None, **fields: Any) -> None:
        self._write(self._log.warning, event, about, fields)

    def error(self, event: str, *, about: Hashable = None, **fields: Any) -> None:
        self._write(self._log.error, event, about, fields)

    def critical(self, event: str, *, about: Hashable = None, **fields: Any) -> None:
        self._write(self._log.critical, event, about, fields)

    def _write(self, write: Callable[..., None], event: str, about: Hashable, fields: dict[str, Any]) -> None:
        left_out = self._limit.admit((event, about))
        if left_out is not None:
            write(event, **fields, **({"left_out": left_out} if left_out else {}))


class LibraryLimit(logging.Filter):
    """Limits what the client libraries log, by the place in their code and the kind of exception.

    Without it, a topic that is missing or a broker that is away makes aiokafka write hundreds of lines a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._limit = RepeatLimit(lines=LIBRARY_LINES)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] not in LIBRARIES:
            return True
        kind = record.exc_info[0] if record.exc_info else None
        left_out = self._limit.admit((record.name, record.pathname, record.lineno, kind))
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like this were left out)", None
        return left_out is not None
