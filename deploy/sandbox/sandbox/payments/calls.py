"""A call of the payment API: its identity for the ledger, its authentication, and the headers of its response."""

import secrets
from datetime import UTC, datetime

from starlette.requests import Request

from sandbox.payments.ledger import Call
from sandbox.payments.stripe_errors import api_key_missing, parameter_invalid

KEY_LENGTH = 255


def new_call(request: Request) -> Call:
    return Call(
        id=f"req_{secrets.token_hex(8)}",
        received_at=datetime.now(UTC).isoformat(),
        method=request.method,
        path=request.url.path,
        idempotency_key=request.headers.get("idempotency-key") or None,
    )


def authenticate(request: Request) -> None:
    """Any API key is valid. Raises StripeError without one, or with an Idempotency-Key that is too long."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "basic"} or not credentials.strip():
        raise api_key_missing()
    if len(request.headers.get("idempotency-key", "")) > KEY_LENGTH:
        raise parameter_invalid(f"An Idempotency-Key has up to {KEY_LENGTH} characters.", "idempotency_key")


def response_headers(call: Call, *, replayed: bool = False) -> dict[str, str]:
    headers = {"Request-Id": call.id}
    if call.idempotency_key:
        headers["Idempotency-Key"] = call.idempotency_key
    return headers | ({"Idempotent-Replayed": "true"} if replayed else {})
