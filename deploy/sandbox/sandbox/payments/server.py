"""The program of the payment sandbox: Stripe's dialect at `/`, Adyen's at `/adyen`, each with its own ledger."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from sandbox.faults import FaultPlan, fault_routes
from sandbox.http_server import HEALTH_ROUTES, PromptServer
from sandbox.payments.adyen.notifications import AdyenDialect
from sandbox.payments.adyen.routes import FAULT_MODES as ADYEN_FAULTS
from sandbox.payments.adyen.routes import AdyenRoutes
from sandbox.payments.control_routes import DEFAULT_DELAY_SECONDS, ControlRoutes
from sandbox.payments.event_log import EventLog, Target
from sandbox.payments.ledger import Ledger
from sandbox.payments.provider import Provider
from sandbox.payments.storage import open_database
from sandbox.payments.stripe.events import StripeDialect
from sandbox.payments.stripe.routes import FAULT_MODES as STRIPE_FAULTS
from sandbox.payments.stripe.routes import StripeRoutes
from sandbox.payments.webhooks import Webhooks

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WebhookOption:
    """Where webhooks are sent from the start; `{provider}` in the URL is the name of the dialect."""

    url: str
    secret: str

    def target(self, provider: str) -> Target:
        return Target(self.url.replace("{provider}", provider), self.secret, DEFAULT_DELAY_SECONDS)


async def serve_payments(host: str, port: int, data: Path, webhook: WebhookOption | None = None) -> None:
    (data / "adyen").mkdir(exist_ok=True)
    with _stripe(data) as stripe, _adyen(data / "adyen") as adyen:
        if webhook is not None:
            for name, provider in (("stripe", stripe), ("adyen", adyen)):
                _send_webhooks(name, provider, webhook)

        @contextlib.asynccontextmanager
        async def in_background(_: Starlette) -> AsyncIterator[None]:
            running = [asyncio.create_task(task()) for task in (*stripe.tasks, *adyen.tasks)]
            yield
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)

        app = Starlette(
            routes=[Mount("/adyen", routes=adyen.routes), *stripe.routes, *HEALTH_ROUTES],
            exception_handlers={HTTPException: _unknown_route},
            lifespan=in_background,
        )
        await PromptServer(app, host=host, port=port, name="payments").serve()


def _send_webhooks(name: str, provider: "RunningProvider", webhook: WebhookOption) -> None:
    try:
        provider.webhooks.set_target(webhook.target(name))
    except ValueError:
        logger.warning("no webhooks of %s are sent: it cannot sign with this secret", name)


@dataclass(frozen=True)
class RunningProvider:
    routes: Sequence[BaseRoute]
    webhooks: Webhooks
    tasks: Sequence[Callable[[], Coroutine[None, None, None]]]
    """The background tasks: later changes of refunds, and the delivery of webhooks."""


@contextlib.contextmanager
def _stripe(folder: Path) -> Iterator[RunningProvider]:
    faults = FaultPlan(folder / "faults.json", modes=STRIPE_FAULTS, target_field="payment")
    with contextlib.closing(open_database(folder / "ledger.sqlite3")) as connection:
        ledger, events = Ledger(connection), EventLog(connection)
        dialect = StripeDialect(ledger)
        webhooks = Webhooks(connection, events, faults, dialect)
        provider = Provider(connection, ledger, webhooks, dialect)
        routes = StripeRoutes(provider, events, webhooks, faults).routes()
        yield _running(routes, provider, events, webhooks, faults)


@contextlib.contextmanager
def _adyen(folder: Path) -> Iterator[RunningProvider]:
    faults = FaultPlan(folder / "faults.json", modes=ADYEN_FAULTS, target_field="payment")
    with contextlib.closing(open_database(folder / "ledger.sqlite3")) as connection:
        events, dialect = EventLog(connection), AdyenDialect()
        webhooks = Webhooks(connection, events, faults, dialect)
        provider = Provider(connection, Ledger(connection), webhooks, dialect)
        routes = AdyenRoutes(provider, events, webhooks, faults).routes()
        yield _running(routes, provider, events, webhooks, faults)


def _running(
    routes: list[Route], provider: Provider, events: EventLog, webhooks: Webhooks, faults: FaultPlan
) -> RunningProvider:
    controls = ControlRoutes(provider, events, webhooks).routes()
    return RunningProvider([*routes, *controls, *fault_routes(faults)], webhooks, [provider.run, webhooks.run])


async def _unknown_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    message = f"Unrecognized request URL ({request.method}: {request.url.path})."
    return JSONResponse({"error": {"type": "invalid_request_error", "message": message}}, status)
