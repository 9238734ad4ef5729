"""Results of commands on stdout: aligned columns for people, JSON for programs."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from common.text.visible import for_terminal, json_for_terminal

_LONGEST_CELL = 60


def print_result(result: Mapping[str, Any], style: str | None) -> None:
    """`style` is `text` or `json`; None means text on a terminal, and otherwise JSON."""
    if (style or ("text" if sys.stdout.isatty() else "json")) == "json":
        text = json_for_terminal(msgspec.json.format(msgspec.json.encode(result), indent=2).decode())
    else:
        text = "\n".join(_table(result["data"]) if "data" in result else _fields(result))
    sys.stdout.write(f"{text}\n")


def _table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "nothing"
        return
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _fields(record: Mapping[str, Any]) -> Iterator[str]:
    width = max(map(len, record))
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield f"{name}:"
            yield from (f"  {line}" for line in _table(value))
        else:
            yield f"{name.ljust(width)}  {_text(value)}"


def _cell(value: Any) -> str:
    text = " ".join(_text(value).split())
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else for_terminal(str(value))
