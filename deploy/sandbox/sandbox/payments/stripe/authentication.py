"""Authentication of calls, and the limit of their idempotency keys."""

from starlette.requests import Request

from sandbox.payments.stripe.errors import api_key_missing, parameter_invalid

KEY_LENGTH = 255


def authenticate(request: Request) -> None:
    """Any API key is valid. Raises StripeError without one, or with an Idempotency-Key that is too long."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "basic"} or not credentials.strip():
        raise api_key_missing()
    if len(request.headers.get("idempotency-key", "")) > KEY_LENGTH:
        raise parameter_invalid(f"An Idempotency-Key has up to {KEY_LENGTH} characters.", "idempotency_key")
