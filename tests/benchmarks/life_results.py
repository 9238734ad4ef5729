"""The lines of the report on whole lives: rates, latencies, and costs of one life."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.life_client import MAILED, REFUNDED, RETURN_STEPS, STEPS
from benchmarks.results import Result

BEFORE = "the commit before"
# The provider, the mail server and the pages for people are not part of what is measured.
APART = {"sandbox", "mailbox", "gateway", "console"}


@dataclass(frozen=True)
class Kind:
    clients: int
    with_return: bool

    def __str__(self) -> str:
        return f"a life{' with return' if self.with_return else ''}, {self.clients} clients"


@dataclass(frozen=True)
class Round:
    """Costs are those of one life."""

    per_second: float
    processor_ms: dict[str, float]
    counts: dict[str, float]
    step_ms: dict[str, list[float]]

    @property
    def total_ms(self) -> float:
        return sum(ms for name, ms in self.processor_ms.items() if name not in APART)


def totals(kind: Kind, now: Sequence[Round], before: Sequence[Round] | None) -> Iterator[Result]:
    rates = [each.per_second for each in now]
    if before is None:
        yield Result.absolute(f"{kind}", "lives/s", rates)
        yield Result.absolute(f"{kind}, processor time", "ms", [each.total_ms for each in now])
    else:
        yield Result.compared(f"{kind}", "lives/s", rates, [each.per_second for each in before], to=BEFORE)
        totals = [each.total_ms for each in now], [each.total_ms for each in before]
        yield Result.compared(f"{kind}, processor time", "ms", *totals, to=BEFORE, is_ceiling=True)
    steps = (*STEPS, *RETURN_STEPS, MAILED, REFUNDED)
    for step in [each for each in steps if each in now[0].step_ms]:
        for name, cut in (("p50", 50), ("p99", 99)):
            figures = [_percentile(each.step_ms[step], cut) for each in now]
            yield _line(f"{kind}: {step}, {name}", "ms", figures, None if before is None else [
                _percentile(each.step_ms[step], cut) for each in before
            ])  # fmt: skip


def details(kind: Kind, now: Sequence[Round], before: Sequence[Round] | None) -> Iterator[Result]:
    for process in sorted(now[0].processor_ms):
        yield _line(
            f"{kind}: processor time of {process}", "ms", [each.processor_ms[process] for each in now],
            None if before is None else [each.processor_ms[process] for each in before],
        )  # fmt: skip
    for name in sorted(now[0].counts):
        yield _line(
            f"{kind}: {name}",
            "",
            [each.counts[name] for each in now],
            None if before is None else [each.counts[name] for each in before],
        )


def _line(name: str, unit: str, now: Sequence[float], before: Sequence[float] | None) -> Result:
    if before is None or not all(before):
        return Result.absolute(name, unit, now)
    return Result.compared(name, unit, now, before, to=BEFORE, is_ceiling=True)


def _percentile(figures: Sequence[float], percent: int) -> float:
    return statistics.quantiles(figures, n=100, method="inclusive")[percent - 1]
