"""Rate limits for log lines that repeat while something is broken; the next line states how many were omitted."""

import logging
import time
from collections.abc import Callable, Hashable
from typing import Any

SECONDS = 10.0
# More than one line, as the same place in a library logs for several topics or brokers.
LIBRARY_LINES = 5
LIBRARIES = ("aiokafka", "asyncio", "faststream", "opentelemetry")
# Above this number of keys, those whose interval is over are deleted.
MOST_KEYS = 1_000


class RepeatLimit:
    """Admits each key at most `lines` times per interval of `SECONDS`."""

    def __init__(self, *, lines: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._lines = lines
        self._clock = clock
        self._intervals: dict[Hashable, tuple[float, int]] = {}  # start, and number of calls since

    def admit(self, key: Hashable) -> int | None:
        """None when the key is not admitted; otherwise how many calls were not admitted in its previous interval."""
        now = self._clock()
        start, calls = self._intervals.get(key, (now, 0))
        if now - start < SECONDS:
            self._intervals[key] = start, calls + 1
            return 0 if calls < self._lines else None
        if len(self._intervals) > MOST_KEYS:
            self._intervals = {each: last for each, last in self._intervals.items() if now - last[0] < SECONDS}
        self._intervals[key] = now, 1
        return max(calls - self._lines, 0)


class RateLimitedLog:
    """A structlog logger that logs each event at most once in `SECONDS`.

    `about` distinguishes events with the same text: a topic, a partition. After events were omitted, the next line has
    their number in its field `left_out`.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._limit = RepeatLimit()

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
    """Limits the lines of client libraries, by the place in their code and the type of the exception.

    Without it, aiokafka logs hundreds of lines a second for a missing topic or an unavailable broker.
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
