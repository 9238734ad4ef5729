"""The walks through the code in `docs/architecture.md` name functions that exist."""

import ast
import re
from pathlib import Path

from support.project.documents import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text()
_STEP = re.compile(r"`(?P<package>common|orders|returns|invoicing|refunds)/(?P<path>[\w/]+\.py)::(?P<name>[\w.]+)`")


def file_of(package: str, path: str) -> Path:
    return ROOT / ("libs" if package == "common" else "services") / package / package / path


def defined_names(file: Path) -> set[str]:
    """Functions, classes, `Class.method`, and variables of a module."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        names |= _names(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for each in node.body for name in _names(each)}
    return names


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_every_step_of_a_walk_exists() -> None:
    steps = [(each["package"], each["path"], each["name"]) for each in _STEP.finditer(PAGE)]
    assert len(steps) > 20
    files = {(package, path): file_of(package, path) for package, path, _ in steps}
    assert [str(file) for file in files.values() if not file.exists()] == []
    missing = [step for step in steps if step[2] not in defined_names(files[step[:2]])]
    assert missing == []
