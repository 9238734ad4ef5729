"""The details of a refund's audit rows."""

from refunds.domain.refund import Refund


def details(refund: Refund, **more: object) -> dict[str, object]:
    return {
        "transaction_id": refund.transaction_id,
        "payment_reference": refund.request.payment_reference,
        "error": refund.error,
        "idempotency_key": refund.idempotency_key,
        "attempts": refund.attempts,
        **more,
    }
