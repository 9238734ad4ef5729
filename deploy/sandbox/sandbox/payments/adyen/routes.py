"""Refunds of Adyen's Checkout API (https://docs.adyen.com/api-explorer/Checkout/71), with faults, and two reports.

The reports, of refunds and of notifications, have no counterpart in Adyen's API, where reports are files.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import Fault, FaultPlan
from sandbox.payments.adyen.errors import api_key_missing, gateway_failed, invalid, refusal
from sandbox.payments.adyen.refund_request import RefundRequest, report_entry
from sandbox.payments.calls import (
    CALL_FAULTS,
    REFUSALS,
    Endpoint,
    delay_request,
    lookup_lag,
    lose_request,
    loses_answer,
    recorded,
    send_or_lose,
)
from sandbox.payments.event_log import EventLog
from sandbox.payments.ledger import Call, RefundFilter
from sandbox.payments.outcomes import OUTCOME_FAULTS, outcome_of
from sandbox.payments.provider import Provider
from sandbox.payments.webhooks import WEBHOOK_FAULTS, Webhooks

CALL_MODES = CALL_FAULTS | OUTCOME_FAULTS
FAULT_MODES = CALL_MODES | WEBHOOK_FAULTS
MAX_LIMIT = 100


class AdyenRoutes:
    def __init__(self, provider: Provider, events: EventLog, webhooks: Webhooks, faults: FaultPlan) -> None:
        self._provider = provider
        self._ledger = provider.ledger
        self._events = events
        self._webhooks = webhooks
        self._faults = faults

    def routes(self) -> list[Route]:
        return [
            Route("/v71/payments/{payment:path}/refunds", self._endpoint(self.request_refund), methods=["POST"]),
            Route("/v71/reports/refunds", self._endpoint(self.report_refunds)),
            Route("/v71/reports/notifications", self._endpoint(self.report_notifications)),
        ]

    async def request_refund(self, request: Request, call: Call) -> Response:
        """Answer 201 with `received`. A repeated request makes a second refund."""
        call.payment = request.path_params["payment"]
        refund_request = RefundRequest.read(request.path_params["payment"], await request.body())
        call.reference = refund_request.reference
        fault = self._faults.trigger(*filter(None, (call.payment, call.reference)), modes=CALL_MODES)
        if fault and fault.mode in REFUSALS:
            raise refusal(fault)
        if lost := await lose_request(self._provider, request, call, fault):
            return lost
        await delay_request(self._provider, request, call, fault)
        response = self._make_refund(call, refund_request, fault)
        await self._webhooks.deliver_before_answer(
            refund_request.payment, call.reference, self._provider.hasten_changes
        )
        return await send_or_lose(request, response, fault)

    async def report_refunds(self, request: Request, call: Call) -> Response:
        """Newest first."""
        query = request.query_params
        limit = _read_limit(query)
        call.payment, call.reference = query.get("paymentPspReference"), query.get("merchantReference")
        created_from = query.get("createdFrom")
        if created_from is not None and not (created_from.isascii() and created_from.isdigit()):
            raise invalid("createdFrom is a number of seconds")
        wanted = RefundFilter(
            payment_intent=query.get("paymentPspReference"),
            reference=query.get("merchantReference"),
            created_from=None if created_from is None else int(created_from),
            starting_after=query.get("after"),
        )
        refunds = self._ledger.refunds(wanted, limit + 1)
        entries = [report_entry(each) for each in refunds[:limit]]
        return self._report(call, entries, refunds[limit - 1]["id"] if len(refunds) > limit else None)

    async def report_notifications(self, request: Request, call: Call) -> Response:
        """The notifications, oldest first. `next` is the cursor of the next page, which may be empty still."""
        query = request.query_params
        limit, after = _read_limit(query), query.get("after")
        entries = self._events.after(after, limit)
        return self._report(call, [item for _, item in entries], entries[-1][0] if entries else after)

    def _endpoint(self, endpoint: Endpoint) -> Any:
        async def authenticated(request: Request, call: Call) -> Response:
            call.idempotency_key = None  # is not read
            if not request.headers.get("x-api-key", "").strip():
                raise api_key_missing()
            return await endpoint(request, call)

        return recorded(self._provider, authenticated)

    def _make_refund(self, call: Call, refund_request: RefundRequest, fault: Fault | None) -> Response:
        outcome = outcome_of("pending", fault, self._reason_to_fail(refund_request, fault))
        refund = refund_request.refund(f"adyen_{secrets.token_hex(8)}", outcome.status)
        body = {
            "merchantAccount": refund_request.merchant_account,
            "paymentPspReference": refund_request.payment,
            "pspReference": refund["id"],
            "reference": refund_request.reference,
            "status": "received",
            "amount": {"value": refund_request.amount, "currency": refund_request.currency},
        }
        response: Response = JSONResponse(body, 201)
        if fault and fault.mode == "fail_after_apply":
            response = gateway_failed().response
        call.outcome, call.status = "applied", None if loses_answer(fault) else response.status_code
        self._provider.record_refund(call, refund, later=outcome.later, lookup_lag=lookup_lag(fault))
        return response

    def _reason_to_fail(self, refund_request: RefundRequest, fault: Fault | None) -> str | None:
        if fault and fault.mode == "decline":
            return "Refund declined by the issuer"
        payment = refund_request.payment
        dispute, capture = self._ledger.dispute(payment), self._ledger.capture(payment)
        if dispute is not None and dispute.status != "won":
            return "Transaction has a chargeback"
        if capture is None:
            return None
        if refund_request.currency.lower() != capture.currency:
            return f"The payment was made in {capture.currency.upper()}"
        is_too_much = refund_request.amount > capture.amount - self._ledger.refunded(payment)
        return "Insufficient balance on payment" if is_too_much else None

    def _report(self, call: Call, entries: list[Mapping[str, Any]], next_cursor: str | None) -> Response:
        if fault := self._faults.trigger(*filter(None, (call.payment, call.reference)), modes={"unavailable"}):
            raise refusal(fault)
        self._provider.record_call(call, "listed", 200)
        return JSONResponse({"data": entries, "next": next_cursor})


def _read_limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "")
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT):
        raise invalid(f"limit is from 1 to {MAX_LIMIT}")
    return int(text or MAX_LIMIT)
