"""The rule for the length of modules: a longer one becomes a package (ADR 1)."""

from pathlib import Path

from architecture.source_files import source_files

MOST_LINES = 250


def too_long_modules(root: Path, *folders: str, most: int = MOST_LINES) -> list[str]:
    lengths = ((file.name, len(file.text.splitlines())) for file in source_files(root, *folders))
    return [f"{name}: {lines} lines, at most {most}" for name, lines in lengths if lines > most]
