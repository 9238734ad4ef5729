"""What a record or an event contains, as text that is safe to show and not too long."""

from base64 import b64decode
from dataclasses import dataclass

import msgspec

_MOST_CHARACTERS = 20_000
_MOST_BYTES_IN_HEX = 1_024


@dataclass(frozen=True, slots=True)
class Payload:
    """`kind` is JSON, text or bytes (in hexadecimal); `size` is in bytes; `is_cut`: the text is only the beginning."""

    kind: str
    text: str
    size: int
    is_cut: bool = False


def decoded(value: str | None) -> Payload | None:
    """Of a value in base64."""
    return None if value is None else payload(b64decode(value))


def payload(content: bytes) -> Payload:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        shown = content[:_MOST_BYTES_IN_HEX]
        return Payload("bytes", shown.hex(" "), len(content), len(shown) < len(content))
    kind = "text"
    try:
        # Every number stays as it was written.
        text = msgspec.json.format(text, indent=2)
        kind = "JSON"
    except (msgspec.DecodeError, RecursionError):
        pass
    visible = "".join(each if each.isprintable() or each in "\n\t" else "\N{REPLACEMENT CHARACTER}" for each in text)
    return Payload(kind, visible[:_MOST_CHARACTERS], len(content), len(visible) > _MOST_CHARACTERS)
