"""Print the part of requirements.lock that something needs at run time, hashes included.

    python runtime_requirements.py requirements.lock services/orders/pyproject.toml libs/common/pyproject.toml

What the first project needs, directly or not; projects named after it are followed where it depends on them, and a
plain name is a distribution from the lock. The lock's own `# via` comments say who needs whom, so there is one lock to
keep and nothing to resolve again. What only an extra would need may come along; nothing is ever left out.
"""

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path


def needed(lock: str, *wanted: str) -> str:
    """Raises `KeyError` for a distribution that the lock does not have."""
    blocks: dict[str, str] = defaultdict(str)
    children: dict[str, set[str]] = defaultdict(set)
    for block in filter(str.strip, re.split(r"^(?=\S)", lock, flags=re.MULTILINE)):
        name = _name(block)
        blocks[name] += block  # one for each Python version, where they differ
        for parent in re.findall(r"^    #(?: via|  ) ([a-z0-9][a-z0-9.-]*)$", block, flags=re.MULTILINE):
            children[parent].add(name)
    projects = dict(_project(Path(each)) for each in wanted if each.endswith(".toml"))
    found: set[str] = set()
    waiting = [next(iter(projects), wanted[0])]
    while waiting:
        name = waiting.pop()
        if name in projects:
            waiting += projects.pop(name)
        elif name not in blocks:
            raise KeyError(f"{name} is not in the lock")
        elif name not in found:
            found.add(name)
            waiting += children[name]
    return "".join(blocks[name] for name in sorted(found))


def _project(path: Path) -> tuple[str, list[str]]:
    project = tomllib.loads(path.read_text())["project"]
    return project["name"], [_name(each) for each in project["dependencies"]]


def _name(requirement: str) -> str:
    """The normalised name (PEP 503) that a requirement begins with."""
    spelled = re.match(r"[A-Za-z0-9._-]*[A-Za-z0-9]", requirement)
    return re.sub(r"[-_.]+", "-", spelled[0]).lower() if spelled else ""


if __name__ == "__main__":
    sys.stdout.write(needed(Path(sys.argv[1]).read_text(), *sys.argv[2:]))
