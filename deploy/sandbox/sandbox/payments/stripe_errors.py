"""Refusals in the shape of Stripe's API (https://docs.stripe.com/api/errors)."""

from typing import Any


class StripeRefusalError(Exception):
    """A call that is answered with an error; `outcome` is the word for it in the ledger of calls."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        decline_code: str | None = None,
        outcome: str = "refused",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.outcome = outcome
        members = {"type": kind, "code": code, "message": message, "param": param, "decline_code": decline_code}
        self.body: dict[str, Any] = {"error": {name: value for name, value in members.items() if value is not None}}


def api_key_missing() -> StripeRefusalError:
    return StripeRefusalError(401, "You did not provide an API key: send it as a bearer token or basic auth user.")


def parameter_missing(message: str, param: str) -> StripeRefusalError:
    return StripeRefusalError(400, message, code="parameter_missing", param=param)


def parameter_unknown(param: str) -> StripeRefusalError:
    return StripeRefusalError(400, f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def parameter_invalid(message: str, param: str, code: str | None = None) -> StripeRefusalError:
    return StripeRefusalError(400, message, code=code, param=param)


def refund_missing(refund_id: str, param: str) -> StripeRefusalError:
    return StripeRefusalError(404, f"No such refund: '{refund_id}'", code="resource_missing", param=param)


def charge_already_refunded(payment: str) -> StripeRefusalError:
    return StripeRefusalError(400, f"Charge {payment} has already been refunded.", code="charge_already_refunded")


def refund_too_large(unrefunded: int) -> StripeRefusalError:
    message = f"Refund amount is greater than the unrefunded amount on the charge ({unrefunded} in minor units)"
    return StripeRefusalError(400, message, param="amount")


def refund_declined() -> StripeRefusalError:
    return StripeRefusalError(
        402,
        "The refund was declined by the card's issuer.",
        kind="card_error",
        code="card_declined",
        decline_code="generic_decline",
        outcome="declined",
    )


def idempotency_key_reused(key: str) -> StripeRefusalError:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return StripeRefusalError(400, message, kind="idempotency_error")


def idempotency_key_in_use(key: str) -> StripeRefusalError:
    message = f"There is currently another in-progress request using this Idempotency-Key ('{key}'). Try again later."
    return StripeRefusalError(
        409, message, kind="idempotency_error", code="idempotency_key_in_use", outcome="in_flight"
    )


def gateway_failed() -> StripeRefusalError:
    return StripeRefusalError(500, "An unknown error occurred.", kind="api_error", outcome="failed")


def rate_limited() -> StripeRefusalError:
    return StripeRefusalError(429, "Request rate limit exceeded.", code="rate_limit", outcome="rate_limited")
