"""Run benchmarks: `python -m benchmarks [short | long | NAME …]` in `tests`; `make bench` runs the short ones."""

import sys
import time
from importlib import import_module

from benchmarks.results import table, write
from rich.console import Console

SHORT = ("gateways", "relaying", "consuming", "pipelines", "refund_cost", "whole_life", "processes")
LONG = ("saturation", "backlog", "growth", "lists", "explaining")


def main(names: list[str]) -> int:
    """Run the benchmarks, modules with `measure() -> Iterable[Result]`. The exit status is 1 if a floor is missed."""
    console = Console(width=150)
    results_of_all = []
    for name in {"short": SHORT, "long": LONG}.get(" ".join(names), names):
        start = time.monotonic()
        results = list(import_module(f"benchmarks.{name}").measure())
        write(results)
        console.print(table(results))
        console.print(f"{name}: {time.monotonic() - start:.0f} s\n")
        results_of_all += results
    return int(any(each.verdict == "missed" for each in results_of_all))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["short"]))
