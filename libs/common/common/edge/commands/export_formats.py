"""The formats of exports: NDJSON, and CSV (RFC 4180) whose texts are no formulas."""

import csv
import io
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from common.edge.commands.query import encode_json

CURSOR = "cursor"
# Spreadsheets evaluate a text that begins with one of these; the last four are full-width.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_decode = msgspec.json.Decoder().decode

Row = tuple[Mapping[str, Any], str]


class ExportFormat(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @classmethod
    def of(cls, asked: "ExportFormat | None", accept: str) -> "ExportFormat":
        """The format that is asked for, else one that the header `Accept` names, else NDJSON."""
        if asked is not None:
            return asked
        return cls.CSV if "text/csv" in accept.lower() else cls.NDJSON


class Encoding(Protocol):
    """Encodes rows: their members, and the cursor that continues after them."""

    media_type: str

    def encode(self, rows: Sequence[Row]) -> bytes: ...


class Ndjson:
    """A line per row: a JSON object with its members, and `cursor` as the last one."""

    media_type = "application/x-ndjson"

    def __init__(self, members: Sequence[str], *, is_resumed: bool) -> None:
        pass

    def encode(self, rows: Sequence[Row]) -> bytes:
        return b"".join(encode_json({**members, CURSOR: cursor}) + b"\n" for members, cursor in rows)


class Csv:
    """A line per row, with a header unless the export is resumed. Objects and lists are JSON, null is an empty cell.

    A text that a spreadsheet would evaluate has an apostrophe before it.
    """

    def __init__(self, members: Sequence[str], *, is_resumed: bool) -> None:
        self._members = members
        self._header: Sequence[str] = () if is_resumed else (*members, CURSOR)
        self.media_type = f"text/csv; charset=utf-8; header={'absent' if is_resumed else 'present'}"

    def encode(self, rows: Sequence[Row]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        if self._header:
            writer.writerow(self._header)
            self._header = ()
        writer.writerows([*(_cell(members[name]) for name in self._members), cursor] for members, cursor in rows)
        return text.getvalue().encode()


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else str(value)
    if value is None:
        return ""
    encoded = encode_json(value)
    return str(_decode(encoded)) if encoded.startswith(b'"') else encoded.decode()


FORMATS: Mapping[ExportFormat, type[Ndjson | Csv]] = {ExportFormat.NDJSON: Ndjson, ExportFormat.CSV: Csv}
