"""The Python files below a root, as the architecture rules read them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The console stands beside them: it has no database, and other files (ADR 43).
SERVICES = tuple(sorted(path.parent.name for path in ROOT.glob("services/*/*/migrations")))


@dataclass(frozen=True)
class SourceFile:
    """A file, and its path relative to the root that a rule was applied to."""

    path: Path
    name: str

    @cached_property
    def text(self) -> str:
        return self.path.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def at(self, node: ast.AST, message: str) -> str:
        return f"{self.name}:{getattr(node, 'lineno', 1)}: {message}"


def source_files(root: Path, *folders: str) -> Iterator[SourceFile]:
    """All Python files below `root`, or below the folders of it that are given."""
    for folder in folders or (".",):
        for path in sorted((root / folder).rglob("*.py")):
            yield SourceFile(path, path.relative_to(root).as_posix())


def write_tree(root: Path, files: dict[str, str]) -> Path:
    """A small tree of source files, to try a rule on."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
