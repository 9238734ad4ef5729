"""Limit of failed log-ins, per address of the client and per key."""

import time
from collections import deque
from collections.abc import Callable

FAILURES = 10
SECONDS = 300.0
_MOST_SUBJECTS = 10_000


class Throttle:
    """`FAILURES` within `SECONDS`, in this process. The services limit wrong keys too (ADR 32)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, deque[float]] = {}

    def wait_seconds(self, *subjects: str) -> float:
        """Seconds until a log-in with all of these subjects is permitted; 0 if it is permitted now."""
        now = self._clock()
        waits = []
        for subject in subjects:
            times = self._failures.get(subject, deque())
            while times and times[0] <= now - SECONDS:
                times.popleft()
            if len(times) >= FAILURES:
                waits.append(times[0] + SECONDS - now)
        return max(waits, default=0.0)

    def failed(self, *subjects: str) -> None:
        if len(self._failures) >= _MOST_SUBJECTS:
            oldest = self._clock() - SECONDS
            self._failures = {each: times for each, times in self._failures.items() if times and times[-1] > oldest}
            if len(self._failures) >= _MOST_SUBJECTS:  # an attack from many addresses: the newest count
                self._failures.clear()
        for subject in subjects:
            self._failures.setdefault(subject, deque(maxlen=FAILURES)).append(self._clock())
