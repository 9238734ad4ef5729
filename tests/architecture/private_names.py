"""The rule for private names: those of a dependency are used only in common's `internals`, one module per dependency.

A name with a leading underscore may change its meaning in any release of a dependency. Read from the syntax tree are:
imports of such modules and names, attributes that the file itself does not define, `getattr` and `setattr` with such a
name, and assignments to a dependency's modules and classes (monkeypatching).
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from architecture.source_files import SERVICES, SourceFile, source_files

OWN_PACKAGES = {"common", *SERVICES, "console", "local_stack", "sandbox", "demo"}
# namedtuple's public methods begin with an underscore so that they cannot meet a field's name.
PUBLIC = {"_asdict", "_fields", "_make", "_replace"}
# os._exit ends a process without clean-up; documented.
STANDARD_LIBRARY = {"_exit"}
# Variables of a dependency that are documented as its settings.
SETTINGS = {"rl_config.useA85"}
INTERNALS = "libs/common/common/internals/"


def private_names(root: Path, *folders: str) -> list[str]:
    files = list(source_files(root, *folders))
    names_of_package: dict[Path, set[str]] = defaultdict(set)
    for file in files:
        names_of_package[file.path.parent] |= _defined_names(file.tree)
    return [
        finding
        for file in files
        if not file.name.startswith(INTERNALS)
        for finding in _findings(file, names_of_package[file.path.parent])
    ]


def _findings(file: SourceFile, names_of_package: set[str]) -> Iterator[str]:
    defined = _defined_names(file.tree)
    dependencies = _dependency_names(file.tree)
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (file.at(node, f"imports {name}") for name in _private_imports(node))
        elif isinstance(node, ast.Attribute):
            # A base class in the same package may define what a class uses of itself.
            own = names_of_package if _is_self(node.value) else defined
            if _is_private(node.attr) and node.attr not in own:
                yield file.at(node, f"uses {ast.unparse(node)}")
            is_change = isinstance(node.ctx, ast.Store | ast.Del) and ast.unparse(node) not in SETTINGS
            if is_change and _base_name(node) in dependencies:
                yield file.at(node, f"changes {ast.unparse(node)}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from _dynamic_access(file, node, defined, dependencies)


def _dynamic_access(file: SourceFile, call: ast.Call, defined: set[str], dependencies: set[str]) -> Iterator[str]:
    assert isinstance(call.func, ast.Name)
    if call.func.id not in ("getattr", "setattr", "delattr", "hasattr") or len(call.args) < 2:
        return
    target, name = call.args[:2]
    if isinstance(name, ast.Constant) and _is_private(str(name.value)) and name.value not in defined:
        yield file.at(call, f"uses {ast.unparse(call)}")
    if call.func.id in ("setattr", "delattr") and _base_name(target) in dependencies:
        yield file.at(call, f"changes {ast.unparse(call)}")


def _private_imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [each.name for each in node.names]
    else:
        names = [f"{node.module or ''}.{each.name}" for each in node.names]
    for name in names:
        package = name.split(".")[0]
        if package not in OWN_PACKAGES and any(_is_private(part) for part in name.split(".")):
            yield name


def _dependency_names(tree: ast.Module) -> set[str]:
    """What the file calls the modules, classes and functions that it imports from dependencies."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {each.asname or each.name.split(".")[0] for each in node.names if _is_dependency(each.name)}
        elif isinstance(node, ast.ImportFrom) and _is_dependency(node.module or ""):
            names |= {each.asname or each.name for each in node.names}
    return names


def _is_dependency(module: str) -> bool:
    package = module.split(".")[0]
    return package not in OWN_PACKAGES and package not in sys.stdlib_module_names and package != ""


def _defined_names(tree: ast.Module) -> set[str]:
    """Names that the file itself gives to functions, classes, variables and attributes of its own objects."""
    names = PUBLIC | STANDARD_LIBRARY
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
            names.add(node.attr)
    return names


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _base_name(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")
