"""Servers of the hot-path benchmark: `VARIANT=<name> DSN=… uvicorn --factory benchmarks.hot_path_servers:create`."""

import gc
import hashlib
import hmac
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Literal
from uuid import UUID

from benchmarks.hot_path_order import RefusedError, encode_response
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
        return bare(dsn, stores_responses=variant == "limit-with-key")
    if variant == "everything":
        return gateway(dsn)
    return plain_fastapi(STORAGES[variant](), dsn)


def bare(dsn: str, stores_responses: bool) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The limit: an ASGI application without a framework."""
    storage = Raw()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await storage.open(dsn)
            freeze_heap()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await storage.close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        order_id = UUID(scope["path"].split("/")[2])
        if scope["method"] == "GET":
            response = encode_response(await storage.read(order_id))
        else:
            message = await receive()
            body = message["body"]
            while message["more_body"]:
                message = await receive()
                body += message["body"]
            change = json.loads(body)
            assert change["new_state"] == "SHIPPED"
            shipment = order_id, change["tracking_number"], change["carrier"]
            if stores_responses:
                key = next(value for name, value in scope["headers"] if name == b"idempotency-key").decode()
                response = await storage.ship_once(*shipment, f"bench PATCH {scope['path']}", key, body)
            else:
                response = encode_response(await storage.ship(*shipment))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(response))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": response})

    return app


def freeze_heap() -> None:
    """Exclude imported objects from garbage collection: a full collection of them stops a server for 30 ms."""
    gc.collect()
    gc.freeze()


def plain_fastapi(storage: Raw | CoreSeparate, dsn: str) -> FastAPI:
    app = FastAPI(lifespan=_opening(storage, dsn))

    @app.patch("/orders/{order_id}/state")
    async def change_state(order_id: UUID, change: StateChange) -> Response:
        shipped = await storage.ship(order_id, change.tracking_number, change.carrier)
        return Response(encode_response(shipped), media_type="application/json")

    @app.get("/orders/{order_id}")
    async def read_order(order_id: UUID) -> Response:
        return Response(encode_response(await storage.read(order_id)), media_type="application/json")

    return app


def gateway(dsn: str) -> FastAPI:
    """`prepared` with what a real gateway adds: API key, route class, idempotency key with its stored response."""
    storage = Prepared()
    router = APIRouter(route_class=GatewayRoute)

    @router.patch("/orders/{order_id}/state")
    async def change_state(order_id: UUID, change: StateChange, request: Request) -> Response:
        scope, key = f"bench PATCH {request.url.path}", request.headers["idempotency-key"]
        response = await storage.ship_once(
            order_id, change.tracking_number, change.carrier, scope, key, await request.body()
        )
        return Response(response, media_type="application/json")

    @router.get("/orders/{order_id}")
    async def read_order(order_id: UUID) -> Response:
        return Response(encode_response(await storage.read(order_id)), media_type="application/json")

    app = FastAPI(lifespan=_opening(storage, dsn))
    app.include_router(router)
    return app


class GatewayRoute(APIRoute):
    """Checks the API key and converts errors without a middleware or a dependency, which are slower."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guard(request: Request) -> Response:
            require_warehouse(request.headers.get("x-api-key", ""))
            try:
                return await handle(request)
            except RefusedError as error:
                return Response(encode_response({"error": {"code": "CONFLICT", "message": str(error)}}), 409)

        return guard


def require_warehouse(api_key: str) -> None:
    prefix, _, secret = api_key.partition(".")
    digest, roles = API_KEYS.get(prefix, (b"", frozenset()))
    if not hmac.compare_digest(digest, hashlib.sha256(secret.encode()).digest()):
        raise HTTPException(401)
    if "warehouse" not in roles:
        raise HTTPException(403)


def _opening(storage: Raw | CoreSeparate, dsn: str) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await storage.open(dsn)
        freeze_heap()
        yield
        await storage.close()

    return lifespan
