"""JSON text of what the APIs answered, whose numbers are decimals."""

from decimal import Decimal
from typing import Any

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)


def json_text(value: object) -> str:
    return _encoder.encode(value).decode()


def parse_json_text(text: str) -> Any:
    """The value of a form's hidden field. What is no JSON stays as it is, for the API to refuse."""
    try:
        return _decoder.decode(text)
    except msgspec.DecodeError:
        return text
