"""Errors in the format of Stripe's API (https://docs.stripe.com/api/errors)."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from sandbox.payments.calls import CallError


class StripeError(CallError):
    """`body` is the response's document."""

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
        headers: Mapping[str, str] | None = None,
    ) -> None:
        members = {"type": kind, "code": code, "message": message, "param": param, "decline_code": decline_code}
        self.status = status
        self.body = {"error": {name: value for name, value in members.items() if value is not None}}
        super().__init__(JSONResponse(self.body, status, headers), outcome)


def api_key_missing() -> StripeError:
    return StripeError(401, "You did not provide an API key: send it as a bearer token or basic auth user.")


def parameter_missing(message: str, param: str) -> StripeError:
    return StripeError(400, message, code="parameter_missing", param=param)


def parameter_unknown(param: str) -> StripeError:
    return StripeError(400, f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def parameter_invalid(message: str, param: str, code: str | None = None) -> StripeError:
    return StripeError(400, message, code=code, param=param)


def refund_missing(refund_id: str, param: str) -> StripeError:
    return StripeError(404, f"No such refund: '{refund_id}'", code="resource_missing", param=param)


def event_missing(event_id: str) -> StripeError:
    return StripeError(404, f"No such event: '{event_id}'", code="resource_missing", param="id")


def charge_already_refunded(payment: str) -> StripeError:
    return StripeError(400, f"Charge {payment} has already been refunded.", code="charge_already_refunded")


def refund_too_large(unrefunded: int) -> StripeError:
    message = f"Refund amount is greater than the unrefunded amount on the charge ({unrefunded} in minor units)"
    return StripeError(400, message, param="amount")


def refund_declined() -> StripeError:
    return StripeError(
        402,
        "The refund was declined by the card's issuer.",
        kind="card_error",
        code="card_declined",
        decline_code="generic_decline",
        outcome="declined",
    )


def idempotency_key_reused(key: str) -> StripeError:
    message = (
        "Keys for idempotent requests can only be used with the same parameters they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request."
    )
    return StripeError(400, message, kind="idempotency_error")


def idempotency_key_in_use(key: str) -> StripeError:
    message = f"There is currently another in-progress request using this Idempotency-Key ('{key}'). Try again later."
    return StripeError(409, message, kind="idempotency_error", code="idempotency_key_in_use", outcome="in_flight")


def charge_disputed(payment: str) -> StripeError:
    return StripeError(400, f"Charge {payment} has been charged back; cannot issue a refund.", code="charge_disputed")


def gateway_failed(outcome: str = "failed") -> StripeError:
    return StripeError(500, "An unknown error occurred.", kind="api_error", outcome=outcome)


def unavailable() -> StripeError:
    return StripeError(503, "The service is temporarily unavailable.", kind="api_error", outcome="unavailable")


def conflict() -> StripeError:
    message = "This object cannot be accessed right now because another API request is currently accessing it."
    return StripeError(409, message, code="lock_timeout", outcome="conflict")


def rate_limited(headers: Mapping[str, str]) -> StripeError:
    return StripeError(429, "Request rate limit exceeded.", code="rate_limit", outcome="rate_limited", headers=headers)
