"""Response times of the last minutes, over all processes of a service, for the contract's JSON metrics (ADR 22).

Every process adds its requests to a histogram in memory and writes it to the table `response_times` every few seconds,
one row per process and slot of time. The figures are sums of the rows of the last minutes, so they cover all processes
and survive a restart. A killed process loses at most its last `SECONDS_BETWEEN_WRITES`.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from uuid import UUID, uuid4

from sqlalchemy import Double, Integer, Uuid, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from typing_extensions import TypedDict

from common.component import Component
from common.database.regular_writes import regular_writes
from common.database.statements import Connection, prepare
from common.database.tables import response_times
from common.database.transactions import Pool

WINDOW_SECONDS = 300
SLOT_SECONDS = 10
SECONDS_BETWEEN_WRITES = 2.0
WRITE_SECONDS = 2.0

# Bucket n counts durations up to `_SHORTEST * _GROWTH ** n` seconds. The percentile is interpolated in a bucket, with
# an error of less than the growth. 180 buckets reach from 0.1 ms to more than 10 minutes.
_SHORTEST, _GROWTH, _BUCKETS = 0.0001, 1.1, 180
_LOG_GROWTH = math.log(_GROWTH)


class Performance(TypedDict):
    """Milliseconds, over the requests of the last five minutes to routes that need a key; 0 when there were none."""

    avg_response_time_ms: float
    p95_response_time_ms: float


class HistogramDocument(TypedDict):
    """The histogram behind `Performance`, for a program that adds up those of several services: bucket *n* counts
    durations up to 0.0001 s times 1.1 to the power of *n*."""

    seconds: float
    counts: dict[str, int]


class Histogram:
    """The number of durations in each bucket, and their sum."""

    __slots__ = ("buckets", "seconds")

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        bucket = math.ceil(math.log(seconds / _SHORTEST) / _LOG_GROWTH) if seconds > _SHORTEST else 0
        self.buckets[min(bucket, _BUCKETS - 1)] += 1
        self.seconds += seconds

    def merge(self, numbers: Iterable[int], counts: Iterable[int], seconds: float) -> None:
        self.buckets.update(dict(zip(numbers, counts, strict=True)))
        self.seconds += seconds

    def document(self) -> HistogramDocument:
        return {"seconds": self.seconds, "counts": {str(number): count for number, count in self.buckets.items()}}

    def merge_document(self, document: HistogramDocument) -> None:
        counts = document["counts"]
        self.merge(map(int, counts), counts.values(), document["seconds"])

    def performance(self) -> Performance:
        total = self.buckets.total()
        if total == 0:
            return {"avg_response_time_ms": 0.0, "p95_response_time_ms": 0.0}
        return {
            "avg_response_time_ms": round(self.seconds / total * 1000, 3),
            "p95_response_time_ms": round(self._percentile(0.95 * total) * 1000, 3),
        }

    def _percentile(self, rank: float) -> float:
        count_below = 0
        for number, count in sorted(self.buckets.items()):
            if count_below + count >= rank:
                upper = _SHORTEST * _GROWTH**number
                lower = upper / _GROWTH if number else 0.0
                return lower + (upper - lower) * (rank - count_below) / count
            count_below += count
        raise AssertionError("a rank is at most the number of durations")


_slot = func.to_timestamp(bindparam("slot", type_=Double))
_new = insert(response_times).values(
    process=bindparam("process", type_=Uuid),
    slot=_slot,
    seconds=bindparam("seconds", type_=Double),
    buckets=bindparam("buckets", type_=ARRAY(Integer)),
    counts=bindparam("counts", type_=ARRAY(Integer)),
)
_WRITE = prepare(
    _new.on_conflict_do_update(
        index_elements=[response_times.c.process, response_times.c.slot],
        set_={name: _new.excluded[name] for name in ("seconds", "buckets", "counts")},
    )
)
_READ = prepare(
    select(response_times.c.buckets, response_times.c.counts, response_times.c.seconds).where(
        response_times.c.slot > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, WINDOW_SECONDS),
        response_times.c.process != bindparam("process", type_=Uuid),
    )
)


class ResponseTimes:
    """The response times of this process in memory, and those of the service's other processes in the table."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._process: UUID = uuid4()
        self._slots: deque[tuple[int, Histogram]] = deque()
        self._unwritten: dict[int, Histogram] = {}

    def add(self, seconds: float) -> None:
        slot = int(self._clock()) // SLOT_SECONDS * SLOT_SECONDS
        if not self._slots or self._slots[-1][0] != slot:
            self._slots.append((slot, Histogram()))
            while self._slots[0][0] <= slot - WINDOW_SECONDS:
                self._slots.popleft()
        histogram = self._slots[-1][1]
        histogram.add(seconds)
        self._unwritten[slot] = histogram

    async def recent(self, connection: Connection) -> Histogram:
        """Of all processes, with the latest requests of this one."""
        total = Histogram()
        for row in await _READ.fetch_all(connection, process=self._process):
            total.merge(row["buckets"], row["counts"], row["seconds"])
        oldest = self._clock() - WINDOW_SECONDS
        for slot, own_histogram in self._slots:
            if slot > oldest:
                total.merge(own_histogram.buckets.keys(), own_histogram.buckets.values(), own_histogram.seconds)
        return total

    async def write(self, connection: Connection) -> None:
        """Write the slots that changed since the last call."""
        unwritten, self._unwritten = self._unwritten, {}
        rows = [
            {
                "process": self._process,
                "slot": float(slot),
                "seconds": each.seconds,
                "buckets": list(each.buckets.keys()),
                "counts": list(each.buckets.values()),
            }
            for slot, each in unwritten.items()
        ]
        try:
            if rows:
                await _WRITE.execute_many(connection, rows)
        except BaseException:
            self._unwritten = unwritten | self._unwritten
            raise

    def component(self, pool: Pool) -> Component:
        failure = "response times not written; they are part of the next write"
        return regular_writes(
            "response times",
            pool,
            self.write,
            every=lambda: SECONDS_BETWEEN_WRITES,
            within=WRITE_SECONDS,
            failure=failure,
        )
