"""The rule for file names: all services have the files that ADR 1 lists, and no others."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

DECISION = "docs/adr/0001-one-shape-for-every-service.md"


def listed_files(decision: str) -> list[str]:
    """The patterns of the code block in the decision's text: a folder that ends with `/`, and then its modules.

    A module may also be a package, whose modules the block then lists under its name.
    """
    block = re.search(r"^```text\n(.*?)^```", decision, re.DOTALL | re.MULTILINE)
    if block is None:
        raise ValueError("the decision has no list of files")
    patterns = []
    for line in block[1].splitlines():
        names = line.partition("#")[0].split()
        folder = names.pop(0) if names and names[0].endswith("/") else ""
        patterns += [f"{folder}{name}.py" for name in (names or ["*"])]
    return patterns


def unlisted_files(root: Path, services: Iterable[str], patterns: Iterable[str]) -> list[str]:
    allowed = [*patterns, "__init__.py", "*/__init__.py"]
    return [
        path.relative_to(root).as_posix()
        for service in services
        for package in [root / "services" / service / service]
        for path in sorted(package.rglob("*.py"))
        if not any(fnmatchcase(path.relative_to(package).as_posix(), pattern) for pattern in allowed)
    ]
