"""Renders a log event as one line of JSON."""

from collections.abc import Mapping
from typing import Any

import msgspec

from common.text.storable import storable, storable_json
from common.text.terminal import json_for_terminal

_encoder = msgspec.json.Encoder(enc_hook=str)


def render_json(_logger: object, _method: str, event: Mapping[str, Any]) -> str:
    """A structlog renderer that never raises: an error must not be lost because its text cannot be encoded.

    JSON escapes the control characters below U+0020. The others are escaped here, as terminals obey some of them.
    """
    try:
        line = _encoder.encode(event).decode()
    except Exception:  # half of a surrogate pair, or an object whose `str()` raises
        line = _encoder.encode(
            {storable(name): storable_json(_encodable(value)) for name, value in event.items()}
        ).decode()
    return line if line.isprintable() else json_for_terminal(line)


def _encodable(value: object) -> object:
    try:
        _encoder.encode(value)
    except UnicodeEncodeError:
        return value  # made encodable by `storable_json`
    except Exception as error:
        return f"(cannot be shown: {type(error).__name__})"
    return value
