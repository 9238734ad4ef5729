"""The servers of the measurement: `VARIANT=<name> DSN=… uvicorn --factory benchmarks.hot_path_servers:create`."""

import gc
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Literal
from uuid import UUID

from benchmarks.hot_path_order import Refused, encode_answer
from benchmarks.hot_path_storage import (
    CoreSeparate,
    CoreTogether,
    Optimistic,
    Prepared,
    PreparedWithReset,
    Raw,
    Text,
)
from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

STORAGES: dict[str, type[Raw] | type[CoreSeparate]] = {
    "core-separate": CoreSeparate,
    "core-together": CoreTogether,
    "prepared": Prepared,
    "prepared-reset": PreparedWithReset,
    "text": Text,
    "optimistic": Optimistic,
}
API_KEYS = {"bench": (hashlib.sha256(b"secret").digest(), frozenset({"warehouse"}))}


class StateChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    new_state: Literal["PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "DELIVERED", "CANCELLED"]
    reason: Annotated[str, Field(max_length=500)] | None = None
    tracking_number: Annotated[str, Field(max_length=100)] | None = None
    carrier: Annotated[str, Field(max_length=100)] | None = None


def create() -> Any:
    variant, dsn = os.environ["VARIANT"], os.environ["DSN"]
    if variant.startswith("limit"):
        return bare(dsn, keeps_answers=variant == "limit-with-key")
    if variant == "everything":
        return gateway(dsn)
    return plain_fastapi(STORAGES[variant](), dsn)


def bare(dsn: str, keeps_answers: bool) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The limit: an ASGI function without a framework."""
    storage = Raw()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await storage.open(dsn)
            settle_heap()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await storage.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        order_id = UUID(scope["path"].split("/")[2])
        if scope["method"] == "GET":
            answer = encode_answer(await storage.read(order_id))
        else:
            message = await receive()
            body = message["body"]
            while message["more_body"]:
                message = await receive()
                body += message["body"]
            change = json.loads(body)
            assert change["new_state"] == "SHIPPED"
            shipment = order_id, change["tracking_number"], change["carrier"]
            if keeps_answers:
                key = next(value for name, value in scope["headers"] if name == b"idempotency-key").decode()
                answer = await storage.ship_once(*shipment, f"bench PATCH {scope['path']}", key, body)
            else:
                answer = encode_answer(await storage.ship(*shipment))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    return app


def settle_heap() -> None:
    """Take what was imported out of the collector's sight: a full collection over it stops a server for 30 ms."""
    gc.collect()
    gc.freeze()


def plain_fastapi(storage: Raw | CoreSeparate, dsn: str) -> FastAPI:
    app = FastAPI(lifespan=_opening(storage, dsn))

    @app.patch("/orders/{order_id}/state")
    async def change_state(order_id: UUID, change: StateChange) -> Response:
        shipped = await storage.ship(order_id, change.tracking_number, change.carrier)
        return Response(encode_answer(shipped), media_type="application/json")

    @app.get("/orders/{order_id}")
    async def read_order(order_id: UUID) -> Response:
        return Response(encode_answer(await storage.read(order_id)), media_type="application/json")

    return app


def gateway(dsn: str) -> FastAPI:
    """`prepared` with what a real gateway adds: API key, own route class, idempotency key with its stored answer."""
    storage = Prepared()
    router = APIRouter(route_class=GatewayRoute)

    @router.patch("/orders/{order_id}/state")
    async def change_state(order_id: UUID, change: StateChange, request: Request) -> Response:
        scope, key = f"bench PATCH {request.url.path}", request.headers["idempotency-key"]
        answer = await storage.ship_once(
            order_id, change.tracking_number, change.carrier, scope, key, await request.body()
        )
        return Response(answer, media_type="application/json")

    @router.get("/orders/{order_id}")
    async def read_order(order_id: UUID) -> Response:
        return Response(encode_answer(await storage.read(order_id)), media_type="application/json")

    app = FastAPI(lifespan=_opening(storage, dsn))
    app.include_router(router)
    return app


class GatewayRoute(APIRoute):
    """Checks the key and answers refusals without a middleware or a dependency, each of which costs more."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guard(request: Request) -> Response:
            require_warehouse(request.headers.get("x-api-key", ""))
            try:
                return await handle(request)
            except Refused as refused:
                return Response(encode_answer({"error": {"code": "CONFLICT", "message": str(refused)}}), 409)

        return guard


def require_warehouse(api_key: str) -> None:
    prefix, _, secret = api_key.partition(".")
    known, roles = API_KEYS.get(prefix, (b"", frozenset()))
    if not hmac.compare_digest(known, hashlib.sha256(secret.encode()).digest()):
        raise HTTPException(401)
    if "warehouse" not in roles:
        raise HTTPException(403)


def _opening(storage: Raw | CoreSeparate, dsn: str) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await storage.open(dsn)
        settle_heap()
        yield
        await storage.close()

    return lifespan
