"""`/v1/refunds` and `/v1/events`: the refunds and events of Stripe's API (https://docs.stripe.com/api), with faults."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import Fault, FaultPlan, Mode
from sandbox.payments.calls import (
    CALL_FAULTS,
    REFUSALS,
    Endpoint,
    delay_request,
    lookup_lag,
    lose_request,
    loses_answer,
    recorded,
    retry_after,
    send_or_lose,
)
from sandbox.payments.event_log import EventLog
from sandbox.payments.ledger import Call, RefundFilter, StoredResponse
from sandbox.payments.outcomes import OUTCOME_FAULTS, Outcome, outcome_of
from sandbox.payments.provider import Provider
from sandbox.payments.refund import Refund
from sandbox.payments.stripe import errors
from sandbox.payments.stripe.authentication import authenticate
from sandbox.payments.stripe.errors import StripeError
from sandbox.payments.stripe.queries import read_created_from, read_limit, refuse_unknown
from sandbox.payments.stripe.refund_request import RefundRequest, parse_form
from sandbox.payments.webhooks import WEBHOOK_FAULTS, Webhooks

CALL_MODES = CALL_FAULTS | OUTCOME_FAULTS | {"key_reused": Mode()}
FAULT_MODES = CALL_MODES | WEBHOOK_FAULTS


class StripeRoutes:
    def __init__(self, provider: Provider, events: EventLog, webhooks: Webhooks, faults: FaultPlan) -> None:
        self._provider = provider
        self._ledger = provider.ledger
        self._events = events
        self._webhooks = webhooks
        self._faults = faults
        self._keys_in_flight: set[str] = set()

    def routes(self) -> list[Route]:
        return [
            Route("/v1/refunds", self._endpoint(self.create_refund), methods=["POST"]),
            Route("/v1/refunds", self._endpoint(self.list_refunds), methods=["GET"]),
            Route("/v1/refunds/{refund_id}", self._endpoint(self.retrieve_refund), methods=["GET"]),
            Route("/v1/events", self._endpoint(self.list_events), methods=["GET"]),
            Route("/v1/events/{event_id}", self._endpoint(self.retrieve_event), methods=["GET"]),
        ]

    async def create_refund(self, request: Request, call: Call) -> Response:
        form = parse_form(await request.body())
        call.payment = form.get("payment_intent") or form.get("charge")
        call.reference = form.get("metadata[reference]")
        refund_request = RefundRequest.from_form(form)
        fault = self._faults.trigger(*filter(None, (call.payment, call.reference)), modes=CALL_MODES)
        # A refusal ignores the idempotency key: nothing is applied, stored or replayed.
        if fault and fault.mode in REFUSALS:
            raise _refusal(fault)
        if lost := await lose_request(self._provider, request, call, fault):
            return lost
        with self._key_in_flight(call.idempotency_key):
            await delay_request(self._provider, request, call, fault)
            response = self._refund_once(call, refund_request, fault)
            await self._webhooks.deliver_before_answer(
                refund_request.payment, call.reference, self._provider.hasten_changes
            )
        return await send_or_lose(request, response, fault)

    async def retrieve_refund(self, request: Request, call: Call) -> Response:
        refund_id = request.path_params["refund_id"]
        refund = self._ledger.refund(refund_id)
        if refund is None:
            raise errors.refund_missing(refund_id, "id")
        call.payment = refund["payment_intent"] or refund["charge"]
        return self._found(call, "retrieved", refund)

    async def list_refunds(self, request: Request, call: Call) -> Response:
        query = request.query_params
        refuse_unknown(query, {"payment_intent", "charge", "limit", "starting_after", "created", "expand"})
        call.payment = query.get("payment_intent") or query.get("charge")
        starting_after, limit = query.get("starting_after"), read_limit(query)
        if starting_after is not None and self._ledger.refund(starting_after) is None:
            raise errors.refund_missing(starting_after, "starting_after")
        wanted = RefundFilter(
            payment_intent=query.get("payment_intent"),
            charge=query.get("charge"),
            created_from=read_created_from(query),
            starting_after=starting_after,
        )
        refunds = self._ledger.refunds(wanted, limit + 1)
        return self._found(call, "listed", _page("/v1/refunds", refunds, limit))

    async def list_events(self, request: Request, call: Call) -> Response:
        """Newest first, also with `ending_before`, which selects the next newer ones than an event."""
        query = request.query_params
        refuse_unknown(query, {"limit", "starting_after", "ending_before", "created", "type", "types"})
        limit, after = read_limit(query), query.get("ending_before")
        for cursor in filter(None, (after, query.get("starting_after"))):
            if self._events.find(cursor) is None:
                raise errors.event_missing(cursor)
        events = self._events.page(
            types=[value for name, value in query.multi_items() if name.split("[")[0] in ("type", "types")],
            created_from=read_created_from(query) or 0,
            after=after,
            before=query.get("starting_after"),
            limit=limit + 1,
        )
        page = _page("/v1/events", events, limit)
        return self._found(call, "listed", page | ({"data": page["data"][::-1]} if after is not None else {}))

    async def retrieve_event(self, request: Request, call: Call) -> Response:
        event = self._events.find(request.path_params["event_id"])
        if event is None:
            raise errors.event_missing(request.path_params["event_id"])
        return self._found(call, "retrieved", event)

    def _endpoint(self, endpoint: Endpoint) -> Any:
        async def authenticated(request: Request, call: Call) -> Response:
            try:
                authenticate(request)
                return await endpoint(request, call)
            except StripeError as error:
                error.response.headers.update(_headers(call))
                raise

        return recorded(self._provider, authenticated)

    def _found(self, call: Call, outcome: str, document: Mapping[str, Any]) -> Response:
        if self._faults.trigger(*filter(None, (call.payment,)), modes={"unavailable"}):
            raise errors.unavailable()
        self._provider.record_call(call, outcome, 200)
        return JSONResponse(document, headers=_headers(call))

    def _refund_once(self, call: Call, refund_request: RefundRequest, fault: Fault | None) -> Response:
        """The response for this idempotency key. The status of the call is None if the fault loses the response."""
        is_lost = loses_answer(fault)
        if fault and fault.mode == "key_reused":
            raise errors.idempotency_key_reused(call.idempotency_key or "")
        if stored := self._stored_response(call, refund_request):
            self._provider.record_call(call, "replayed", None if is_lost else stored.status)
            return JSONResponse(stored.body, stored.status, _headers(call, replayed=True))
        status, body, refund, outcome = self._refund(call, refund_request, fault)
        call.status = None if is_lost else status
        self._provider.record_refund(
            call,
            refund,
            response=StoredResponse(refund_request.fingerprint(), status, body),
            later=outcome.later,
            lookup_lag=lookup_lag(fault),
        )
        return JSONResponse(body, status, _headers(call))

    def _refund(
        self, call: Call, refund_request: RefundRequest, fault: Fault | None
    ) -> tuple[int, dict[str, Any], Refund | None, Outcome]:
        """Status and body of the response, the refund if there is one, and how it ends."""
        outcome = outcome_of("succeeded", fault)
        try:
            refund = self._new_refund(refund_request, fault) | {"status": outcome.status}
        except StripeError as error:
            call.outcome = error.outcome
            return error.status, error.body, None, Outcome("failed")
        call.outcome = "applied"
        if fault and fault.mode == "fail_after_apply":
            failure = errors.gateway_failed()
            return failure.status, failure.body, refund, outcome
        return 200, refund, refund, outcome

    def _new_refund(self, refund_request: RefundRequest, fault: Fault | None) -> Refund:
        if fault and fault.mode == "decline":
            raise errors.refund_declined()
        payment = refund_request.payment
        dispute = self._ledger.dispute(payment)
        if dispute is not None and dispute.status != "won":
            raise errors.charge_disputed(payment)
        return refund_request.refund(self._ledger.capture(payment), self._ledger.refunded(payment))

    def _stored_response(self, call: Call, refund_request: RefundRequest) -> StoredResponse | None:
        stored = self._ledger.response(call.idempotency_key) if call.idempotency_key else None
        if stored and stored.fingerprint != refund_request.fingerprint():
            raise errors.idempotency_key_reused(call.idempotency_key or "")
        return stored

    @contextlib.contextmanager
    def _key_in_flight(self, key: str | None) -> Iterator[None]:
        if key is None:
            yield
            return
        if key in self._keys_in_flight:
            raise errors.idempotency_key_in_use(key)
        self._keys_in_flight.add(key)
        try:
            yield
        finally:
            self._keys_in_flight.discard(key)


def _refusal(fault: Fault) -> StripeError:
    match fault.mode:
        case "conflict":
            return errors.conflict()
        case "unavailable":
            return errors.unavailable()
        case "rate_limit":
            return errors.rate_limited(retry_after(fault))
    return errors.gateway_failed()


def _page(url: str, entries: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {"object": "list", "url": url, "has_more": len(entries) > limit, "data": entries[:limit]}


def _headers(call: Call, *, replayed: bool = False) -> dict[str, str]:
    headers = {"Request-Id": call.id}
    if call.idempotency_key:
        headers["Idempotency-Key"] = call.idempotency_key
    return headers | ({"Idempotent-Replayed": "true"} if replayed else {})
