"""Run benchmarks one after the other: `python -m benchmarks [name …]` in `tests`; `make bench` runs the short ones."""

import sys
import time
from importlib import import_module

from benchmarks import results
from rich.console import Console

SHORT = ("gateways", "relaying", "consuming", "pipelines", "processes")
LONG = ("saturation", "backlog", "growth")


def main(names: list[str]) -> int:
    """Each benchmark is a module with `measure() -> Iterable[Result]`. Exits with 1 where a floor does not hold."""
    console = Console(width=150)
    found = []
    for name in {"short": SHORT, "long": LONG}.get(" ".join(names), names):
        began = time.monotonic()
        measured = list(import_module(f"benchmarks.{name}").measure())
        results.write(measured)
        console.print(results.table(measured))
        console.print(f"{name}: {time.monotonic() - began:.0f} s\n")
        found += measured
    return int(any(each.verdict == "missed" for each in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["short"]))
