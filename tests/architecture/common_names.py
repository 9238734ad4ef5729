"""The rule for the names of common: how many of them the author of a service has to know."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from architecture.source_files import SourceFile, source_files


def common_names(root: Path, *folders: str) -> Counter[str]:
    """`module:name` of everything that services import from common, and in how many files. The attributes of an
    imported module count, not the module. Migrations are left out: they are never changed."""
    return Counter(
        name
        for file in source_files(root, *folders)
        if "/migrations/" not in file.name
        for name in set(_names(file, root))
    )


def _names(file: SourceFile, root: Path) -> Iterator[str]:
    modules = {}
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "common":
            continue
        for each in node.names:
            if _is_module(root, f"{node.module}.{each.name}"):
                modules[each.asname or each.name] = f"{node.module}.{each.name}"
            else:
                yield f"{node.module}:{each.name}"
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield f"{modules[node.value.id]}:{node.attr}"


def _is_module(root: Path, name: str) -> bool:
    """Not where the package binds the name to an object, as `common.database.tables` does for its tables."""
    path = root / "libs/common" / name.replace(".", "/")
    package = path.parent / "__init__.py"
    bound = package.is_file() and re.search(rf"^ +\"{path.name}\",$", package.read_text(), re.MULTILINE)
    return not bound and (path.is_dir() or path.with_suffix(".py").is_file())
