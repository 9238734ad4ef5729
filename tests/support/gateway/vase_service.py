"""The gateway of an example service that stores vases, for tests of the shared HTTP edge."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from common.access import api_keys
from common.access.auth import Caller, Role
from common.access.policy import Policy
from common.database.statements import Connection
from common.database.transactions import Pool, open_pool
from common.edge.commands.command import command
from common.edge.commands.query import read
from common.edge.gateway import create_gateway
from common.edge.requests.query import query_problems
from common.edge.routing.guarded_route import GuardedRoute
from common.edge.routing.router import Router
from common.errors import Code, Problem
from common.health import Health
from common.internals.fastapi import Parameters
from common.service import Runtime, Service
from common.settings import ServiceSettings
from fastapi import Depends, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from fastapi.routing import request_response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import MetaData
from support.postgres.databases import Database

VASE = {"name": "Vase bleu", "price": 12.5}


class Glaze(BaseModel):
    model_config = ConfigDict(extra="forbid")

    colour: str = Field(max_length=20)


class VaseCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=255)
    price: Decimal = Field(ge=0, lt=1000)
    glazes: list[Glaze] = []


class _CalledByFastAPI(GuardedRoute):
    """A route whose endpoint FastAPI calls, to compare its responses with those of a direct call."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.app = AsyncExitStackMiddleware(request_response(self.get_route_handler()))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, query_names = super().get_route_handler(), Parameters.of_route(self).query_names

        async def guarded(request: Request) -> Response:
            await self.guard.check(request)
            if problems := query_problems(request, query_names):
                raise RequestValidationError(problems)
            return await handle(request)

        return guarded


class _VaseRouter(Router):
    def build(self, prefix: str = "") -> list[GuardedRoute]:
        path = f"{prefix}/vases/{{vase_id}}/paint-through-fastapi"
        through = _CalledByFastAPI(path, _paint_through_fastapi, policy=Policy(frozenset(Role)), methods=["POST"])
        return [*super().build(prefix), through]


async def _paint_through_fastapi(request: Request, vase_id: UUID, glaze: Glaze, coats: int = 1) -> Response:
    return await read(request, _painted, vase_id, glaze, coats)


def vase_routes() -> Router:
    router = _VaseRouter("/vases", tag="Vases")

    @router.route("POST", "", roles=[Role.CLIENT], status=201)
    async def make(request: Request, vase: VaseCreate) -> Response:
        vase_id = uuid4()
        vase_data = {
            "id": vase_id,
            "name": vase.name,
            "price": vase.price,
            "traceparent": Caller.of(request).traceparent,
        }
        async with command(request) as run:
            await _insert(run.connection, vase_data)
            if vase.name == "slow":
                await run.connection.execute("SELECT pg_advisory_xact_lock(1)")
            if vase.name.startswith("refused"):
                problem = Problem(Code.CONFLICT, "This vase is not created.")
                if vase.name == "refused and rolled back":
                    raise problem
                return await run.answer(problem)
            return await run.answer(vase_data, status=201, new_id=vase_id)

    @router.route("GET", "", roles=Role)
    async def count(request: Request, limit: Annotated[int, Query(ge=1, le=100)] = 20, name: str = "") -> Response:
        return await read(
            request,
            _count_named,
            name,
            limit,
        )

    @router.route("GET", "/{vase_id}", roles=Role)
    async def show(request: Request, vase_id: UUID) -> Response:
        async def find(connection: Connection) -> dict[str, Any]:
            row = await connection.fetchrow("SELECT id, name, price FROM vases WHERE id = $1", vase_id)
            if row is None:
                raise Problem.not_found("vase", vase_id)
            return dict(row)

        return await read(request, find)

    @router.route("POST", "/{vase_id}/break", roles=[Role.WAREHOUSE, Role.MANAGER])
    async def smash(request: Request, vase_id: UUID) -> Response:
        async with command(request) as run:
            if await run.connection.fetchval("SELECT 1 FROM vases WHERE id = $1", vase_id) is None:
                raise Problem.not_found("vase", vase_id)
            Caller.of(request).require(Role.MANAGER)
            await run.connection.execute("DELETE FROM vases WHERE id = $1", vase_id)
            return await run.answer("broken")

    @router.route("POST", "/faulty", roles=Role)
    async def faulty(request: Request) -> Response:
        raise RuntimeError("SELECT secret FROM /etc/kiln")

    @router.route("POST", "/{vase_id}/paint", roles=Role)
    async def paint(request: Request, vase_id: UUID, glaze: Glaze, coats: int = 1) -> Response:
        return await read(request, _painted, vase_id, glaze, coats)

    @router.route("POST", "/{vase_id}/paint-with-dependency", roles=Role)
    async def paint_with_dependency(
        request: Request, vase_id: UUID, glaze: Glaze, coats: Annotated[int, Depends(_coats)]
    ) -> Response:
        return await read(request, _painted, vase_id, glaze, coats)

    @router.route("GET", "/open/to-all", roles=None)
    async def hello() -> Response:
        return Response("hello")

    return router


def _thin_coats(coats: int = 1) -> int:
    return coats


async def _coats(coats: Annotated[int, Depends(_thin_coats)]) -> int:
    return coats


async def _count_named(connection: Connection, name: str, limit: int) -> int:
    number: int = await connection.fetchval(
        "SELECT count(*) FROM vases WHERE name LIKE $1 || '%' LIMIT $2", name, limit
    )
    return number


async def _painted(_: Connection, vase_id: UUID, glaze: Glaze, coats: int) -> dict[str, Any]:
    return {"id": vase_id, "colour": glaze.colour, "coats": coats}


async def _insert(connection: Connection, vase: dict[str, Any]) -> None:
    await connection.execute(
        "INSERT INTO vases (id, name, price) VALUES ($1, $2, $3)", vase["id"], vase["name"], vase["price"]
    )


async def count_vases(connection: Connection) -> dict[str, int]:
    return {"WHOLE": await connection.fetchval("SELECT count(*) FROM vases")}


VASE_SERVICE = Service(
    name="workshop",
    settings=ServiceSettings,
    metadata=MetaData(),
    gateway=lambda runtime: create_gateway(runtime, [vase_routes()], entities="vases", count_by_status=count_vases),
)


@dataclass
class VaseGateway:
    """`keys` has one key per role, and `bound` for a client of one customer."""

    runtime: Runtime[ServiceSettings]
    app: Any
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def pool(self) -> Pool:
        return self.runtime.pool

    def client(self, role: str | None = "client", **headers: str) -> httpx.AsyncClient:
        if role is not None:
            headers["X-API-Key"] = self.keys[role]
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://workshop/api/v1", headers=headers, timeout=20
        )


@asynccontextmanager
async def open_vase_gateway(
    database: Database, service: Service[ServiceSettings] = VASE_SERVICE, **settings: Any
) -> AsyncIterator[VaseGateway]:
    service_settings = ServiceSettings(
        **{"database_url": database.dsn, "kafka_bootstrap": "127.0.0.1:9", "rate_limit_per_minute": 0, **settings}
    )
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute("CREATE TABLE vases (id uuid PRIMARY KEY, name text NOT NULL, price numeric NOT NULL)")
    await owner.execute("GRANT SELECT, INSERT, DELETE ON vases TO PUBLIC")
    await owner.close()
    pool = await open_pool(database.dsn, size=10, application_name="workshop")
    runtime = Runtime(service, service_settings, pool, Health(None, service_settings))
    vase_gateway = VaseGateway(runtime, service.gateway(runtime))
    async with pool.acquire() as connection:
        for role in Role:
            vase_gateway.keys[role] = await api_keys.create(connection, name=role, role=role)
    yield vase_gateway
    await runtime.health.close()
    await asyncio.wait_for(pool.close(), 10)
