"""Print the part of requirements.lock that a project needs at run time, with its hashes.

    python runtime_requirements.py requirements.lock services/orders/pyproject.toml libs/common/pyproject.toml

Prints the direct and indirect requirements of the first project. The projects after it are followed where it depends on
them; a name without `.toml` is a distribution in the lock. The dependencies between distributions come from the lock's
`# via` comments, so there is one lock and nothing is resolved again. The result may include distributions that only an
extra needs; it never lacks one.
"""

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path


def runtime_requirements(lock: str, *roots: str) -> str:
    """Raises `KeyError` for a distribution that the lock does not have."""
    blocks: dict[str, str] = defaultdict(str)
    dependencies: dict[str, set[str]] = defaultdict(set)
    for block in filter(str.strip, re.split(r"^(?=\S)", lock, flags=re.MULTILINE)):
        name = _name(block)
        blocks[name] += block  # several blocks where versions differ between Pythons
        for parent in re.findall(r"^    #(?: via|  ) ([a-z0-9][a-z0-9.-]*)$", block, flags=re.MULTILINE):
            dependencies[parent].add(name)
    projects = dict(_project(Path(each)) for each in roots if each.endswith(".toml"))
    required: set[str] = set()
    pending = [next(iter(projects), roots[0])]
    while pending:
        name = pending.pop()
        if name in projects:
            pending += projects.pop(name)
        elif name not in blocks:
            raise KeyError(f"{name} is not in the lock")
        elif name not in required:
            required.add(name)
            pending += dependencies[name]
    return "".join(blocks[name] for name in sorted(required))


def _project(path: Path) -> tuple[str, list[str]]:
    project = tomllib.loads(path.read_text())["project"]
    return project["name"], [_name(each) for each in project["dependencies"]]


def _name(requirement: str) -> str:
    """The normalised name (PEP 503) at the beginning of a requirement."""
    match = re.match(r"[A-Za-z0-9._-]*[A-Za-z0-9]", requirement)
    return re.sub(r"[-_.]+", "-", match[0]).lower() if match else ""


if __name__ == "__main__":
    sys.stdout.write(runtime_requirements(Path(sys.argv[1]).read_text(), *sys.argv[2:]))
