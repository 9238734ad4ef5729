"""Where requests of examples are sent: to a stack, and to gateways with a fault for the answers 429, 500 and 503."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import httpx
from common.access.auth import Role
from common.database.transactions import Pool, transaction
from generators.http_tables import service as service_of
from local_stack.stack_json import StackDescription
from pydantic import SecretStr
from support.api_examples.requests import Request
from support.api_examples.webhooks import WEBHOOK_SECRET
from support.gateway.application import Gateway, serve
from support.postgres.databases import Database, MakeDatabase
from support.waiting import eventually

# The tables whose absence makes a fault of every route: keys are needed by all routes, the others by the open ones.
_NEEDED_TABLES = ("api_keys", "invoices", "provider_events")
_SETTINGS: Mapping[str, Mapping[str, Any]] = {"refunds": {"payment_webhook_secret": SecretStr(WEBHOOK_SECRET)}}
_WAITING = "SELECT count(*) FROM pg_locks WHERE relation = 'idempotency_keys'::regclass AND NOT granted"


class Sender:
    """Sends requests to one address, with the API key of their role."""

    def __init__(self, client: httpx.AsyncClient, keys: Mapping[str, str]) -> None:
        self._client, self._keys = client, keys

    async def send(self, request: Request) -> httpx.Response:
        headers = [*request.headers.items()]
        if request.by is not None:
            headers += [("X-API-Key", self._keys[request.by])] * (2 if request.repeats_key else 1)
        if request.body is not None and "Content-Type" not in request.headers:
            headers.append(("Content-Type", "application/json"))
        return await self._client.request(
            request.method, request.path, params=request.query or None, headers=headers, content=request.body
        )


@asynccontextmanager
async def stack_sender(stack: StackDescription, service: str, *, at_the_origin: bool) -> AsyncIterator[Sender]:
    url = (stack["gateway"] if at_the_origin else stack["services"][service])["url"]
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        yield Sender(client, stack["api_keys"])


@asynccontextmanager
async def faulty_senders(service: str, make_database: MakeDatabase) -> AsyncIterator[dict[int, Sender]]:
    """A gateway for each status: of 429 it accepts one request a minute, of 500 it has no tables, and of 503 it has
    lost its database."""
    served, settings = service_of(service), _SETTINGS.get(service, {})
    async with AsyncExitStack() as running:
        without_tables = make_database(service)
        gateways = {
            429: await running.enter_async_context(
                serve(served, make_database(service), rate_limit_per_minute=1, **settings)
            ),
            500: await running.enter_async_context(serve(served, without_tables, **settings)),
        }
        await _remove_tables(without_tables)
        proxy = await running.enter_async_context(_proxy(make_database(service)))
        gateways[503] = await running.enter_async_context(serve(served, proxy.database, **settings))
        await proxy.close()
        yield {status: _sender(gateway) for status, gateway in gateways.items()}


async def _remove_tables(database: Database) -> None:
    connection = await asyncpg.connect(database.owner_dsn)
    for table in _NEEDED_TABLES:
        await connection.execute(f"ALTER TABLE IF EXISTS {table} RENAME TO away_{table}")
    await connection.close()


def _sender(gateway: Gateway) -> Sender:
    transport = httpx.ASGITransport(gateway.app, raise_app_exceptions=False)
    client = httpx.AsyncClient(transport=transport, base_url="http://gateway")
    return Sender(client, {role: f"{role}.the-secret-of-a-test" for role in Role})


class _Proxy:
    """Forwards connections to the database's server until it is closed, which ends them."""

    def __init__(self, server: asyncio.Server, database: Database, writers: list[asyncio.StreamWriter]) -> None:
        self._server, self.database, self._writers = server, database, writers

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def _proxy(database: Database) -> AsyncIterator[_Proxy]:
    address = httpx.URL(database.dsn)
    writers: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(address.host, address.port)
        writers.extend((writer, up_writer))
        await asyncio.gather(_copy(reader, up_writer), _copy(up_reader, writer))

    server = await asyncio.start_server(forward, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    changed = {**vars(database), "dsn": str(address.copy_with(host="127.0.0.1", port=port))}
    proxy = _Proxy(server, Database(**changed), writers)
    try:
        yield proxy
    finally:
        await proxy.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while content := await reader.read(65536):
            writer.write(content)
            await writer.drain()
    except OSError:
        pass
    writer.close()


async def while_it_runs(sender: Sender, request: Request, database: Pool) -> httpx.Response:
    """The answer to a request while the first one with its Idempotency-Key runs: that waits for a locked table."""
    async with transaction(database) as connection:
        await connection.execute("LOCK TABLE idempotency_keys IN SHARE MODE")  # where the first one's answer is stored
        first = asyncio.create_task(sender.send(request))

        async def is_waiting() -> Any:
            return await database.fetchval(_WAITING)

        await eventually(is_waiting)
        second = await sender.send(request)
    assert (await first).is_success
    return second
