"""Report the coverage of the last test run; exit with 1 if it is below a minimum of a group of files."""

import contextlib
import io
import sys
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError

SERVICES = Path(__file__).parents[1] / "services"
# For each group of files: a pattern of their paths, and the minimum of their coverage together, in percent.
GATES = {
    "everything": ("*", 90),
    "state machines": ("*/domain*", 100),
    "health": ("*/health*.py", 100),
    **{
        f"{path.parent.name} {path.stem}": (f"*/{path.parent.name}/{path.stem}*", 90)
        for role in ("consumer", "worker")
        for path in sorted(SERVICES.glob(f"*/*/{role}*"))
    },
}


def main() -> None:
    coverage = Coverage()
    coverage.combine(keep=True)
    coverage.load()
    coverage.report(skip_covered=True)
    below = []
    for name, (pattern, minimum) in GATES.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                percent = coverage.report(include=None if pattern == "*" else [pattern, f"{pattern}/*"])
        except NoDataError:
            percent = 0.0
        print(f"{name}: {percent:.1f} % of {minimum} %")
        if percent < minimum:
            below.append(name)
    if below:
        sys.exit(f"coverage is too low: {', '.join(below)}")


if __name__ == "__main__":
    main()
