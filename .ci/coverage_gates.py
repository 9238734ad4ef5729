"""How much of the code the last test run went through; more is asked where a mistake costs money."""

import contextlib
import io
import sys
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError

SERVICES = Path(__file__).parents[1] / "services"
# What the files named by these patterns must reach, in percent, together.
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
    missed = []
    for name, (pattern, wanted) in GATES.items():
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                reached = coverage.report(include=None if pattern == "*" else [pattern, f"{pattern}/*"])
        except NoDataError:
            reached = 0.0
        print(f"{name}: {reached:.1f} % of {wanted} %")
        if reached < wanted:
            missed.append(name)
    if missed:
        sys.exit(f"too little is tested of: {', '.join(missed)}")


if __name__ == "__main__":
    main()
