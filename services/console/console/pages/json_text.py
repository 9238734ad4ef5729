"""JSON text of what the APIs answered, whose numbers are decimals."""

import msgspec

_encoder = msgspec.json.Encoder(decimal_format="number", order="sorted")


def json_text(value: object) -> str:
    return _encoder.encode(value).decode()
