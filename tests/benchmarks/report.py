"""Write the table and the plot of docs/performance.md from results.json: `python -m benchmarks.report` in `tests`."""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.results import FILE, Result, shown_figure
from pydantic import TypeAdapter

DOCUMENTS = Path(__file__).parents[2] / "docs"
PAGE, PLOT = DOCUMENTS / "performance.md", DOCUMENTS / "performance.svg"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"

WIDTH, LABELS, ROW, TOP = 860, 330, 30, 46
FULL = 4.0  # larger ratios are cut


def main() -> None:
    results = TypeAdapter(list[Result]).validate_json(FILE.read_bytes())
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n{_machine()}\n\n{markdown(results)}\n{END}{after}")
    PLOT.write_text(plot([each for each in results if each.ratio is not None and each.floor is not None]))


def markdown(results: Iterable[Result]) -> str:
    """A table with a row for each result: name, value, ratio with spread, bounds, and which of them holds."""
    lines = [
        "| benchmark | value | ratio | spread | floor | aim | holds | reference |",
        "|---|---:|---:|---:|---:|---:|---|---|",
    ]
    for each in results:
        sign = "≤ " if each.is_ceiling else ""
        bounds = ["" if bound is None else f"{sign}{bound:g}" for bound in (each.floor, each.aim)]
        spread = "" if each.spread is None else "-".join(shown_figure(bound, digits=3) for bound in each.spread)
        ratio = "" if each.ratio is None else f"**{each.ratio:.3g}**"
        cells = (
            each.name,
            f"{shown_figure(each.value, digits=4)} {each.unit}",
            ratio,
            spread,
            *bounds,
            each.verdict,
            each.reference or "",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(results: Sequence[Result]) -> str:
    """An SVG with a bar for each ratio and ticks for its floor and aim."""
    height = TOP + ROW * len(results) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"',
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LABELS}" y="20" font-weight="bold">Ratio to the reference; red: floor, green: aim</text>',
        *(bar for row, each in enumerate(results) for bar in _bar(each, TOP + ROW * row)),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _bar(result: Result, top: int) -> Iterator[str]:
    assert result.ratio is not None
    colour = {"aim": "#4c9f70", "floor": "#6b8cae", "missed": "#c0504d"}[result.verdict]
    yield f'<text x="{LABELS - 8}" y="{top + 15}" text-anchor="end">{escape(result.name)}</text>'
    yield f'<rect x="{LABELS}" y="{top}" width="{_x(result.ratio):.0f}" height="20" fill="{colour}"/>'
    for bound, tick in ((result.floor, "#c0504d"), (result.aim, "#1e6b3c")):
        if bound is not None:
            x = LABELS + _x(bound)
            yield f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{top - 3}" y2="{top + 23}" stroke="{tick}" stroke-width="2"/>'
    yield f'<text x="{LABELS + _x(result.ratio) + 8:.0f}" y="{top + 15}">{result.ratio:.2f}</text>'


def _x(ratio: float) -> float:
    return min(ratio, FULL) / FULL * (WIDTH - LABELS - 60)


def _machine() -> str:
    model = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {system}."


if __name__ == "__main__":
    main()
