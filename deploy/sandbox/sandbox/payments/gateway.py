"""`/v1/refunds`: the refunds of Stripe's API (https://docs.stripe.com/api/refunds), with faults."""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import Fault, FaultPlan
from sandbox.http_server import ServerStoppingError, hold_until_disconnect, pause
from sandbox.payments.calls import authenticate, new_call, response_headers
from sandbox.payments.ledger import Call, Ledger, StoredResponse
from sandbox.payments.refund import RefundRequest, parse_form
from sandbox.payments.stripe_errors import (
    StripeError,
    gateway_failed,
    idempotency_key_in_use,
    idempotency_key_reused,
    parameter_invalid,
    parameter_unknown,
    rate_limited,
    refund_declined,
    refund_missing,
)

FAULT_MODES = {"fail", "rate_limit", "timeout_before_apply", "timeout_after_apply", "decline", "slow"}
DELAYED_FAULT_MODES = {"slow"}
OUTAGES = {"fail": gateway_failed, "rate_limit": rate_limited}
MAX_LIMIT, DEFAULT_LIMIT = 100, 10

Endpoint = Callable[[Request, Call], Awaitable[Response]]


class RefundGateway:
    def __init__(self, ledger: Ledger, faults: FaultPlan) -> None:
        self._ledger = ledger
        self._faults = faults
        self._keys_in_flight: set[str] = set()

    def routes(self) -> list[Route]:
        return [
            Route("/v1/refunds", self._in_ledger(self.create_refund), methods=["POST"]),
            Route("/v1/refunds", self._in_ledger(self.list_refunds), methods=["GET"]),
            Route("/v1/refunds/{refund_id}", self._in_ledger(self.retrieve_refund), methods=["GET"]),
        ]

    async def create_refund(self, request: Request, call: Call) -> Response:
        form = parse_form(await request.body())
        call.payment = form.get("payment_intent") or form.get("charge")
        call.reference = form.get("metadata[reference]")
        refund_request = RefundRequest.from_form(form)
        fault = self._faults.trigger(*filter(None, (call.payment, call.reference)))
        # An outage ignores the idempotency key: nothing is applied, stored or replayed.
        if fault and fault.mode in OUTAGES:
            raise OUTAGES[fault.mode]()
        if fault and fault.mode == "timeout_before_apply":
            self._store_outcome(call, "lost")
            return await hold_until_disconnect(request)
        with self._key_in_flight(call.idempotency_key):
            response, replayed = await self._refund_once(request, call, refund_request, fault)
        if call.status is None:
            return await hold_until_disconnect(request)
        return JSONResponse(response.body, response.status, response_headers(call, replayed=replayed))

    async def retrieve_refund(self, request: Request, call: Call) -> Response:
        refund_id = request.path_params["refund_id"]
        refund = self._ledger.refund(refund_id)
        if refund is None:
            raise refund_missing(refund_id, "id")
        call.payment = refund["payment_intent"] or refund["charge"]
        self._store_outcome(call, "retrieved", 200)
        return JSONResponse(refund, headers=response_headers(call))

    async def list_refunds(self, request: Request, call: Call) -> Response:
        query = request.query_params
        for name in query:
            if name.split("[")[0] not in {"payment_intent", "charge", "limit", "starting_after", "expand"}:
                raise parameter_unknown(name)
        call.payment = query.get("payment_intent") or query.get("charge")
        starting_after, limit = query.get("starting_after"), _read_limit(query.get("limit"))
        if starting_after is not None and self._ledger.refund(starting_after) is None:
            raise refund_missing(starting_after, "starting_after")
        refunds = self._ledger.refunds(
            payment_intent=query.get("payment_intent"),
            charge=query.get("charge"),
            starting_after=starting_after,
            limit=limit + 1,
        )
        self._store_outcome(call, "listed", 200)
        page: dict[str, Any] = {"object": "list", "url": "/v1/refunds"}
        page |= {"has_more": len(refunds) > limit, "data": refunds[:limit]}
        return JSONResponse(page, headers=response_headers(call))

    def _in_ledger(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """Wrap an endpoint so that each call to it is stored in the ledger, whatever its outcome."""

        async def respond(request: Request) -> Response:
            call = new_call(request)
            try:
                authenticate(request)
                return await endpoint(request, call)
            except ServerStoppingError:
                return await hold_until_disconnect(request)
            except StripeError as error:
                self._store_outcome(call, error.outcome, error.status)
                return JSONResponse(error.body, error.status, response_headers(call))

        return respond

    async def _refund_once(
        self, request: Request, call: Call, refund_request: RefundRequest, fault: Fault | None
    ) -> tuple[StoredResponse, bool]:
        """The response for this idempotency key, and whether it is replayed.

        The status of the call is None if a fault loses the response.
        """
        is_lost = fault is not None and fault.mode == "timeout_after_apply"
        if stored := self._stored_response(call, refund_request):
            self._store_outcome(call, "replayed", None if is_lost else stored.status)
            return stored, True
        if fault and fault.delay_seconds:
            self._store_outcome(call, "delayed")
            await pause(request, fault.delay_seconds)
        is_declined = fault is not None and fault.mode == "decline"
        response, refund, call.outcome = self._refund(refund_request, is_declined=is_declined)
        call.status = None if is_lost else response.status
        self._ledger.store(call, response, refund)
        return response, False

    def _refund(
        self, refund_request: RefundRequest, *, is_declined: bool
    ) -> tuple[StoredResponse, dict[str, Any] | None, str]:
        """The response, the refund if there is one, and the outcome of the call."""
        try:
            if is_declined:
                raise refund_declined()
            payment = refund_request.payment
            refund = refund_request.refund(self._ledger.capture(payment), self._ledger.refunded(payment))
        except StripeError as error:
            return StoredResponse(refund_request.fingerprint(), error.status, error.body), None, error.outcome
        return StoredResponse(refund_request.fingerprint(), 200, refund), refund, "applied"

    def _stored_response(self, call: Call, refund_request: RefundRequest) -> StoredResponse | None:
        stored = self._ledger.response(call.idempotency_key) if call.idempotency_key else None
        if stored and stored.fingerprint != refund_request.fingerprint():
            raise idempotency_key_reused(call.idempotency_key or "")
        return stored

    @contextlib.contextmanager
    def _key_in_flight(self, key: str | None) -> Iterator[None]:
        if key is None:
            yield
            return
        if key in self._keys_in_flight:
            raise idempotency_key_in_use(key)
        self._keys_in_flight.add(key)
        try:
            yield
        finally:
            self._keys_in_flight.discard(key)

    def _store_outcome(self, call: Call, outcome: str, status: int | None = None) -> None:
        call.outcome, call.status = outcome, status
        self._ledger.store(call)


def _read_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise parameter_invalid(f"limit must be from 1 to {MAX_LIMIT}.", "limit", "parameter_invalid_integer")
    return int(text)
