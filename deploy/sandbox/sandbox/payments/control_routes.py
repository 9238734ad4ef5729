"""The control routes `/sandbox/…` of a provider, except faults: read its ledger, refund by hand, open disputes,
configure webhooks."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.payments.event_log import EventLog, Target
from sandbox.payments.provider import Provider, UnknownObjectError
from sandbox.payments.refund import AMOUNT_LIMIT, DEFAULT_CURRENCY
from sandbox.payments.webhooks import Webhooks

Document = Mapping[str, Any]
Action = Callable[[Document], Response]
REFUND_STATUSES = ("pending", "succeeded", "failed", "canceled")
DEFAULT_DELAY_SECONDS = 0.05


class ControlRoutes:
    def __init__(self, provider: Provider, events: EventLog, webhooks: Webhooks) -> None:
        self._provider = provider
        self._ledger = provider.ledger
        self._events = events
        self._webhooks = webhooks

    def routes(self) -> list[Route]:
        return [
            Route("/sandbox/ledger", self.show_ledger),
            Route("/sandbox/captures", _posted(self.declare_capture), methods=["POST"]),
            Route("/sandbox/keys/expire", _posted(self.expire_keys), methods=["POST"]),
            Route("/sandbox/refunds/{refund_id}/status", _posted(self.change_refund), methods=["POST"]),
            Route("/sandbox/dashboard/refunds", _posted(self.refund_by_hand), methods=["POST"]),
            Route("/sandbox/disputes", _posted(self.dispute), methods=["POST"]),
            Route("/sandbox/webhooks", _posted(self.set_webhook), methods=["POST"]),
            Route("/sandbox/webhooks", self.show_webhook, methods=["GET"]),
            Route("/sandbox/webhooks", self.remove_webhook, methods=["DELETE"]),
            Route("/sandbox/webhooks/release", _posted(self.release_webhooks), methods=["POST"]),
        ]

    async def show_ledger(self, request: Request) -> Response:
        payment, reference = request.query_params.get("payment"), request.query_params.get("reference")
        return JSONResponse(
            {
                "refunds": self._ledger.refund_entries(payment, reference),
                "calls": self._ledger.calls(payment, reference),
            }
        )

    def declare_capture(self, document: Document) -> Response:
        payment, amount, currency = _text(document, "payment"), _amount(document), _currency(document)
        if amount is None or currency is None:
            raise ValueError("a capture is a JSON object of payment, amount (minor units) and currency")
        self._provider.declare_capture(payment, amount, currency)
        return JSONResponse({"payment": payment, "amount": amount, "currency": currency}, 201)

    def expire_keys(self, document: Document) -> Response:
        return JSONResponse({"forgotten": self._provider.expire_keys(document.get("payment"))})

    def change_refund(self, document: Document) -> Response:
        status = _choice(document, "status", REFUND_STATUSES)
        return JSONResponse(self._provider.change_refund(document["refund_id"], status, document.get("reason")))

    def refund_by_hand(self, document: Document) -> Response:
        refund = self._provider.refund_by_hand(_text(document, "payment"), _amount(document), _currency(document))
        return JSONResponse(refund, 201)

    def dispute(self, document: Document) -> Response:
        """Open a dispute of a payment, of its captured amount unless one is given; or close the open one."""
        payment, status = _text(document, "payment"), _choice(document, "status", ("opened", "won", "lost"))
        if status != "opened":
            return JSONResponse(vars(self._provider.close_dispute(payment, status)))
        capture, amount = self._ledger.capture(payment), _amount(document)
        amount = amount or (capture.amount if capture else None)
        if amount is None:
            raise ValueError("amount is needed for a payment that was not declared to the sandbox")
        currency = self._ledger.currency(payment) or _currency(document) or DEFAULT_CURRENCY
        dispute = self._provider.open_dispute(payment, amount, currency, document.get("reason") or "fraudulent")
        return JSONResponse(vars(dispute), 201)

    def set_webhook(self, document: Document) -> Response:
        delay = document.get("delay_seconds", DEFAULT_DELAY_SECONDS)
        if isinstance(delay, bool) or not isinstance(delay, int | float) or delay < 0:
            raise ValueError("delay_seconds must be a number")
        self._webhooks.set_target(Target(_text(document, "url"), _text(document, "secret"), float(delay)))
        return Response(status_code=204)

    async def show_webhook(self, request: Request) -> Response:
        target = self._events.target()
        deliveries = self._events.deliveries(request.query_params.get("payment"))
        return JSONResponse({"url": target.url if target else None, "deliveries": deliveries})

    async def remove_webhook(self, _: Request) -> Response:
        self._webhooks.set_target(None)
        return Response(status_code=204)

    def release_webhooks(self, document: Document) -> Response:
        return JSONResponse({"released": self._webhooks.release(document.get("payment"))})


def _posted(action: Action) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of an action. Its argument has the members of the body and the parameters of the path."""

    async def respond(request: Request) -> Response:
        try:
            document = json.loads(await request.body() or b"{}")
            if not isinstance(document, dict):
                raise ValueError("the body must be a JSON object")
            return action(document | request.path_params)
        except ValueError as error:
            status = 404 if isinstance(error, UnknownObjectError) else 400
            return JSONResponse({"error": {"message": str(error)}}, status_code=status)

    return respond


def _text(document: Document, name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} must be a string")
    return value


def _choice(document: Document, name: str, choices: tuple[str, ...]) -> str:
    if document.get(name) not in choices:
        raise ValueError(f"{name} must be one of: {', '.join(choices)}")
    return str(document[name])


def _amount(document: Document) -> int | None:
    amount = document.get("amount")
    if amount is not None and (type(amount) is not int or not 0 < amount < AMOUNT_LIMIT):
        raise ValueError("amount must be a whole number of minor units above 0")
    return amount


def _currency(document: Document) -> str | None:
    currency = document.get("currency")
    if currency is not None and (not isinstance(currency, str) or len(currency) != 3 or not currency.isalpha()):
        raise ValueError("currency must be a three-letter code")
    return currency.lower() if currency is not None else None
