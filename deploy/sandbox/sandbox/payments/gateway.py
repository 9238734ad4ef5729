"""`/v1/refunds`: the refund part of Stripe's API (https://docs.stripe.com/api/refunds), with faults."""

import contextlib
import secrets
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import Fault, FaultPlan
from sandbox.http_server import ServerStoppingError, hold_until_disconnect, pause
from sandbox.payments.ledger import Answer, Call, Ledger
from sandbox.payments.refund import RefundRequest, parse_form
from sandbox.payments.stripe_errors import (
    StripeRefusalError,
    api_key_missing,
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
KEY_LENGTH = 255
PAGE_LIMIT, DEFAULT_PAGE = 100, 10

Endpoint = Callable[[Request, Call], Awaitable[Response]]


class RefundGateway:
    def __init__(self, ledger: Ledger, faults: FaultPlan) -> None:
        self._ledger = ledger
        self._faults = faults
        self._keys_in_flight: set[str] = set()

    def routes(self) -> list[Route]:
        return [
            Route("/v1/refunds", self._recorded(self.create_refund), methods=["POST"]),
            Route("/v1/refunds", self._recorded(self.list_refunds), methods=["GET"]),
            Route("/v1/refunds/{refund_id}", self._recorded(self.retrieve_refund), methods=["GET"]),
        ]

    async def create_refund(self, request: Request, call: Call) -> Response:
        form = parse_form(await request.body())
        call.payment = form.get("payment_intent") or form.get("charge")
        call.reference = form.get("metadata[reference]")
        refund_request = RefundRequest.from_form(form)
        fault = self._faults.take(*filter(None, (call.payment, call.reference)))
        # An outage strikes before the idempotency key is looked at: nothing is applied, stored or replayed.
        if fault and fault.mode in OUTAGES:
            raise OUTAGES[fault.mode]()
        if fault and fault.mode == "timeout_before_apply":
            self._end(call, "lost")
            return await hold_until_disconnect(request)
        with self._key_in_flight(call.idempotency_key):
            answer, replayed = await self._settle_once(request, call, refund_request, fault)
        if call.status is None:
            return await hold_until_disconnect(request)
        return JSONResponse(answer.body, answer.status, _answer_headers(call, replayed=replayed))

    async def retrieve_refund(self, request: Request, call: Call) -> Response:
        refund_id = request.path_params["refund_id"]
        refund = self._ledger.refund(refund_id)
        if refund is None:
            raise refund_missing(refund_id, "id")
        call.payment = refund["payment_intent"] or refund["charge"]
        self._end(call, "retrieved", 200)
        return JSONResponse(refund, headers=_answer_headers(call))

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
        self._end(call, "listed", 200)
        page: dict[str, Any] = {"object": "list", "url": "/v1/refunds"}
        page |= {"has_more": len(refunds) > limit, "data": refunds[:limit]}
        return JSONResponse(page, headers=_answer_headers(call))

    def _recorded(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """Puts every call into the ledger, however it ends."""

        async def answer(request: Request) -> Response:
            call = _received(request)
            try:
                _require_api_key(request)
                return await endpoint(request, call)
            except ServerStoppingError:
                return await hold_until_disconnect(request)
            except StripeRefusalError as refusal:
                self._end(call, refusal.outcome, refusal.status)
                return JSONResponse(refusal.body, refusal.status, _answer_headers(call))

        return answer

    async def _settle_once(
        self, request: Request, call: Call, refund_request: RefundRequest, fault: Fault | None
    ) -> tuple[Answer, bool]:
        """The answer to this key, and whether it is an old one. The call has no status if the answer is to be lost."""
        answer_is_lost = fault is not None and fault.mode == "timeout_after_apply"
        if stored := self._stored_answer(call, refund_request):
            self._end(call, "replayed", None if answer_is_lost else stored.status)
            return stored, True
        if fault and fault.delay_seconds:
            self._end(call, "delayed")
            await pause(request, fault.delay_seconds)
        declined = fault is not None and fault.mode == "decline"
        answer, refund, call.outcome = self._settle(refund_request, declined=declined)
        call.status = None if answer_is_lost else answer.status
        self._ledger.record(call, answer, refund)
        return answer, False

    def _settle(self, refund_request: RefundRequest, *, declined: bool) -> tuple[Answer, dict[str, Any] | None, str]:
        """The answer, the refund unless it was refused for good, and the word for it in the ledger of calls."""
        try:
            if declined:
                raise refund_declined()
            payment = refund_request.payment
            refund = refund_request.settle(self._ledger.capture(payment), self._ledger.refunded(payment))
        except StripeRefusalError as refusal:
            return Answer(refund_request.fingerprint(), refusal.status, refusal.body), None, refusal.outcome
        return Answer(refund_request.fingerprint(), 200, refund), refund, "applied"

    def _stored_answer(self, call: Call, refund_request: RefundRequest) -> Answer | None:
        stored = self._ledger.answer(call.idempotency_key) if call.idempotency_key else None
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

    def _end(self, call: Call, outcome: str, status: int | None = None) -> None:
        call.outcome, call.status = outcome, status
        self._ledger.record(call)


def _received(request: Request) -> Call:
    return Call(
        id=f"req_{secrets.token_hex(8)}",
        received_at=datetime.now(UTC).isoformat(),
        method=request.method,
        path=request.url.path,
        idempotency_key=request.headers.get("idempotency-key") or None,
    )


def _require_api_key(request: Request) -> None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "basic"} or not credentials.strip():
        raise api_key_missing()
    if len(request.headers.get("idempotency-key", "")) > KEY_LENGTH:
        raise parameter_invalid(f"An Idempotency-Key has up to {KEY_LENGTH} characters.", "idempotency_key")


def _read_limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_PAGE
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= PAGE_LIMIT:
        raise parameter_invalid(f"limit must be from 1 to {PAGE_LIMIT}.", "limit", "parameter_invalid_integer")
    return int(text)


def _answer_headers(call: Call, *, replayed: bool = False) -> dict[str, str]:
    headers = {"Request-Id": call.id}
    if call.idempotency_key:
        headers["Idempotency-Key"] = call.idempotency_key
    return headers | ({"Idempotent-Replayed": "true"} if replayed else {})
