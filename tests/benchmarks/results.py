"""The results of benchmarks: figures, their ratios to a reference, and the bounds that they must hold."""

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from rich.table import Table

FILE = Path(__file__).with_name("results.json")


@dataclass(frozen=True)
class Result:
    """A line of the report.

    `floor` and `aim` are bounds of the ratio if there is a reference, else of the value; upper bounds if `is_ceiling`.
    """

    name: str
    value: float
    unit: str
    reference: str | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    floor: float | None = None
    aim: float | None = None
    is_ceiling: bool = False

    @classmethod
    def compared(
        cls,
        name: str,
        unit: str,
        subject: Sequence[float],
        reference: Sequence[float],
        *,
        to: str,
        floor: float | None = None,
        aim: float | None = None,
        is_ceiling: bool = False,
    ) -> Self:
        """The medians of the rounds and of the ratios of each round; `to` is the name of the reference."""
        ratios = [value / divisor for value, divisor in zip(subject, reference, strict=True)]
        low, middle, high = _quartiles(ratios)
        return cls(name, statistics.median(subject), unit, to, middle, (low, high), floor, aim, is_ceiling)

    @classmethod
    def absolute(
        cls,
        name: str,
        unit: str,
        rounds: Sequence[float],
        *,
        floor: float | None = None,
        aim: float | None = None,
        is_ceiling: bool = True,
    ) -> Self:
        """A figure without a reference. Latency, memory and start-up have upper bounds, rates have lower bounds."""
        low, middle, high = _quartiles(rounds)
        return cls(name, middle, unit, None, None, (low, high), floor, aim, is_ceiling)

    @property
    def verdict(self) -> str:
        """`aim`, `floor` or `missed`; empty without bounds."""
        if self.floor is None:
            return ""
        figure = self.value if self.ratio is None else self.ratio
        if self.aim is not None and self._holds(figure, self.aim):
            return "aim"
        return "floor" if self._holds(figure, self.floor) else "missed"

    def _holds(self, figure: float, bound: float) -> bool:
        return figure <= bound if self.is_ceiling else figure >= bound


def _quartiles(figures: Sequence[float]) -> tuple[float, float, float]:
    if len(figures) < 2:
        return figures[0], figures[0], figures[0]
    low, middle, high = statistics.quantiles(figures, n=4, method="inclusive")
    return low, middle, high


def write(results: Iterable[Result]) -> None:
    """Store the results in the file, in which they replace those of the same names."""
    stored = {each["name"]: each for each in json.loads(FILE.read_text())} if FILE.exists() else {}
    stored |= {each.name: {**asdict(each), "verdict": each.verdict} for each in results}
    FILE.write_text(json.dumps(list(stored.values()), indent=2) + "\n")


def table(results: Iterable[Result]) -> Table:
    rows = Table("benchmark", title="medians, and the middle half of the rounds")
    for column in ("value", "unit", "ratio", "spread", "floor", "aim", "holds"):
        rows.add_column(column, justify="right")
    rows.add_column("reference")
    for each in results:
        rows.add_row(
            each.name,
            shown_figure(each.value, digits=4),
            each.unit,
            _figure(each.ratio),
            "-".join(map(_figure, each.spread or ())),
            _figure(each.floor),
            _figure(each.aim),
            {"missed": "[red]missed", "aim": "[green]aim"}.get(each.verdict, each.verdict),
            each.reference or "",
        )
    return rows


def _figure(value: float | None) -> str:
    return "" if value is None else shown_figure(value, digits=3)


def shown_figure(value: float, digits: int) -> str:
    """Numbers from 1000 on without decimals, smaller ones with so many significant digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"
