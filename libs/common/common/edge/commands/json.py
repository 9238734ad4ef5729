"""JSON of responses."""

from decimal import Decimal
from typing import Annotated

import msgspec
from pydantic import WithJsonSchema
from starlette.responses import Response

# An amount of money in a response: a decimal in Python, a number in JSON, as the public contract has it.
JsonNumber = Annotated[Decimal, WithJsonSchema({"type": "number"})]

encode_json = msgspec.json.Encoder(decimal_format="number").encode


def json_response(document: object) -> Response:
    return Response(encode_json(document), media_type="application/json")


def unchanged(result: object) -> object:
    """For results that are JSON as they are."""
    return result
