"""Errors in the format of Adyen's Checkout API (https://docs.adyen.com/development-resources/error-codes)."""

from collections.abc import Mapping

from starlette.responses import JSONResponse

from sandbox.faults import Fault
from sandbox.payments.calls import CallError, retry_after


class AdyenError(CallError):
    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str = "validation",
        outcome: str = "refused",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        body = {"status": status, "errorCode": code, "message": message, "errorType": kind}
        super().__init__(JSONResponse(body, status, headers), outcome)


def api_key_missing() -> AdyenError:
    return AdyenError(401, "000", "HTTP Status Response - Unauthorized", kind="security")


def invalid(message: str) -> AdyenError:
    return AdyenError(422, "137", message)


def gateway_failed(outcome: str = "failed") -> AdyenError:
    return AdyenError(500, "905", "Payment details are not supported", kind="internal", outcome=outcome)


def refusal(fault: Fault) -> AdyenError:
    """The error response of a fault that prevents the refund."""
    match fault.mode:
        case "conflict":
            return AdyenError(409, "704", "request already processed or in progress", outcome="conflict")
        case "unavailable":
            return AdyenError(503, "000", "Service unavailable", kind="internal", outcome="unavailable")
        case "rate_limit":
            message, headers = "Too many requests", retry_after(fault)
            return AdyenError(429, "000", message, kind="security", outcome="rate_limited", headers=headers)
    return gateway_failed()
