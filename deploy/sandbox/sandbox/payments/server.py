"""The payment gateway as a program: its routes, with the ledger and the faults in one folder."""

import json
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.faults import FaultPlan, fault_routes
from sandbox.http_server import HEALTH_ROUTES, PromptServer
from sandbox.payments.gateway import DELAYED_FAULT_MODES, FAULT_MODES, RefundGateway
from sandbox.payments.ledger import Ledger
from sandbox.payments.refund import AMOUNT_LIMIT, Capture


async def serve_payments(host: str, port: int, data: Path) -> None:
    ledger = Ledger(data / "ledger.sqlite3")
    faults = FaultPlan(
        data / "faults.json", modes=FAULT_MODES, delayed_modes=DELAYED_FAULT_MODES, target_field="payment"
    )
    try:
        app = create_app(RefundGateway(ledger, faults), ledger, faults)
        await PromptServer(app, host=host, port=port, name="payments").serve()
    finally:
        ledger.close()


def create_app(gateway: RefundGateway, ledger: Ledger, faults: FaultPlan) -> Starlette:
    routes = [*gateway.routes(), *fault_routes(faults), *_ledger_routes(ledger), *HEALTH_ROUTES]
    return Starlette(routes=routes, exception_handlers={HTTPException: _unknown_route})


def _ledger_routes(ledger: Ledger) -> list[Route]:
    async def show_ledger(request: Request) -> Response:
        payment, reference = request.query_params.get("payment"), request.query_params.get("reference")
        return JSONResponse(
            {"refunds": ledger.refund_entries(payment, reference), "calls": ledger.calls(payment, reference)}
        )

    async def declare_capture(request: Request) -> Response:
        try:
            payment, capture = _read_capture(json.loads(await request.body()))
        except ValueError as error:
            return JSONResponse({"error": {"message": str(error)}}, status_code=400)
        ledger.declare_capture(payment, capture)
        return JSONResponse({"payment": payment, "amount": capture.amount, "currency": capture.currency}, 201)

    return [
        Route("/sandbox/ledger", show_ledger),
        Route("/sandbox/captures", declare_capture, methods=["POST"]),
    ]


def _read_capture(document: object) -> tuple[str, Capture]:
    if not isinstance(document, dict) or document.keys() != {"payment", "amount", "currency"}:
        raise ValueError("a capture is a JSON object of payment, amount (minor units) and currency")
    payment, amount, currency = document["payment"], document["amount"], document["currency"]
    if not isinstance(payment, str) or not payment:
        raise ValueError("payment must be a string")
    if type(amount) is not int or not 0 < amount < AMOUNT_LIMIT:
        raise ValueError("amount must be a whole number of minor units above 0")
    if not isinstance(currency, str) or len(currency) != 3 or not currency.isalpha():
        raise ValueError("currency must be a three-letter code")
    return payment, Capture(amount, currency.lower())


async def _unknown_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = f"Unrecognized request URL ({request.method}: {request.url.path})."
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message}}, status)
