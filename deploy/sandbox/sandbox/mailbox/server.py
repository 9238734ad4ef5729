"""The mailbox as a program: SMTP and HTTP servers with one folder of messages."""

import asyncio
from pathlib import Path

from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.faults import FaultPlan, fault_routes
from sandbox.http_server import HEALTH_ROUTES, PromptServer
from sandbox.mailbox.api import MailboxApi
from sandbox.mailbox.smtp import FAULT_MODES, MessageReceiver
from sandbox.mailbox.store import MailStore


async def serve_mailbox(host: str, smtp_port: int, http_port: int, data: Path) -> None:
    store = MailStore(data / "messages")
    faults = FaultPlan(data / "faults.json", modes=FAULT_MODES, target_field="to")
    smtp = await _start_smtp(host, smtp_port, MessageReceiver(store, faults))
    smtp_host, bound_port = smtp.sockets[0].getsockname()[:2]
    server = PromptServer(
        create_app(MailboxApi(store), faults),
        host=host,
        port=http_port,
        name="mailbox",
        other_addresses=f" smtp={smtp_host}:{bound_port}",
    )
    try:
        await server.serve()
    finally:
        # Open SMTP connections end with the event loop. A client retries a message for which it did not get a 250.
        smtp.close()


def create_app(api: MailboxApi, faults: FaultPlan) -> Starlette:
    routes = [*api.routes(), *fault_routes(faults), *HEALTH_ROUTES]
    return Starlette(routes=routes, exception_handlers={HTTPException: _error_response})


async def _start_smtp(host: str, port: int, receiver: MessageReceiver) -> asyncio.Server:
    loop = asyncio.get_running_loop()

    def accept() -> SMTP:
        # With a fixed host name, aiosmtpd needs no DNS look-up for each connection.
        return SMTP(receiver, hostname="mailbox.sandbox", enable_SMTPUTF8=True, loop=loop)

    return await loop.create_server(accept, host, port)


async def _error_response(_: Request, error: Exception) -> Response:
    status, message = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
    return JSONResponse({"Error": message}, status)
