"""The formats of exports: NDJSON, and CSV (RFC 4180) whose texts are no formulas."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from common.edge.commands.query import encode_json
from common.text.visible import INVISIBLE

CURSOR = "cursor"
# Spreadsheets evaluate a cell that begins with one of these; the last four are full-width. In many countries they end a
# cell at a semicolon, within quotation marks too. Before the formula they may drop invisible characters, and quotation
# marks: each is written twice, and two of them at the beginning of a cell are an empty quoted text. A line break or tab
# ends the cell itself, so the apostrophe comes after it. The limit of 20 keeps the time linear in the text's length.
_SKIPPED = rf"(?:(?![\t\r\n])[{INVISIBLE}\"]){{0,20}}"
_FORMULA_START = re.compile(rf"(^|[;\t\r\n])({_SKIPPED}[=+\-@\uff1d\uff0b\uff0d\uff20])")
_WEIGHT = re.compile(r"q=([01](?:\.[0-9]{0,3})?)")
_decode = msgspec.json.Decoder().decode

Row = tuple[Mapping[str, Any], str]


class ExportFormat(StrEnum):
    NDJSON = "ndjson"
    CSV = "csv"

    @classmethod
    def of(cls, asked: "ExportFormat | None", accept: str) -> "ExportFormat":
        """The format that is asked for, else CSV if the header `Accept` names and prefers it, else NDJSON."""
        if asked is not None:
            return asked
        weights = _weights(accept)
        csv_weight = weights.get(Csv.media_type, 0.0)
        other_weight = next((weights[name] for name in _NDJSON_RANGES if name in weights), 0.0)
        return cls.CSV if csv_weight > 0 and csv_weight >= other_weight else cls.NDJSON


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

    A text that a spreadsheet would evaluate has an apostrophe before it, also after a semicolon or line break in it.
    """

    media_type = "text/csv"

    def __init__(self, members: Sequence[str], *, is_resumed: bool) -> None:
        self._members = members
        self._header: Sequence[str] = () if is_resumed else (*members, CURSOR)
        self.media_type = f"{self.media_type}; charset=utf-8; header={'absent' if is_resumed else 'present'}"

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
        return _without_formulas(value)
    if value is None:
        return ""
    encoded = encode_json(value)
    return str(_decode(encoded)) if encoded.startswith(b'"') else _without_formulas(encoded.decode())


def _without_formulas(text: str) -> str:
    return _FORMULA_START.sub(r"\1'\2", text)


def _weights(accept: str) -> dict[str, float]:
    """The media ranges of `Accept` and their weights (RFC 9110, 12.5.1)."""
    weights = {}
    for part in accept.lower().split(","):
        name, *parameters = (each.strip() for each in part.split(";"))
        found = [match[1] for each in parameters if (match := _WEIGHT.fullmatch(each))]
        weights[name] = float(found[0]) if found else 1.0
    return weights


_NDJSON_RANGES = (Ndjson.media_type, "application/*", "*/*")
FORMATS: Mapping[ExportFormat, type[Ndjson | Csv]] = {ExportFormat.NDJSON: Ndjson, ExportFormat.CSV: Csv}
