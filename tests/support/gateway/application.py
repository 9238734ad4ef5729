"""A service's gateway in this process, with an API key for each role."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx
from common.access import api_keys
from common.access.api_keys import KeyOptions
from common.access.auth import Role
from common.database.transactions import Pool, open_pool, transaction
from common.health import Health
from common.service import Runtime, Service
from fastapi import FastAPI
from support.gateway.openapi import DocumentedResponses
from support.postgres.databases import Database


@dataclass(frozen=True)
class Gateway:
    """Paths are below `/api/v1`; `key` is a role, an API key made by `new_client`, or `Bearer …` with a token.

    Every response is checked against the OpenAPI document.
    """

    app: FastAPI
    pool: Pool
    _client: httpx.AsyncClient
    _documented: DocumentedResponses

    async def call(
        self, method: str, path: str, body: Any = None, *, key: str = Role.OPS, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send the request; a body of text or bytes is sent unchanged, any other value as JSON."""
        content = body if body is None or isinstance(body, str | bytes) else json.dumps(body)
        all_headers = {**_credential(key), **(headers or {})}
        if content is not None:
            all_headers.setdefault("Content-Type", "application/json")
        response = await self._client.request(method, path, content=content, headers=all_headers)
        self._documented.check(response)
        return response

    async def get(self, path: str, *, key: str = Role.OPS) -> httpx.Response:
        return await self.call("GET", path, key=key)

    async def post(self, path: str, body: Any, *, key: str = Role.OPS) -> httpx.Response:
        return await self.call("POST", path, body, key=key)

    async def patch(self, path: str, body: Any, *, key: str = Role.OPS) -> httpx.Response:
        return await self.call("PATCH", path, body, key=key)

    async def new_client(self, customer_id: UUID) -> str:
        """The key of a client that is bound to this customer."""
        async with transaction(self.pool) as connection:
            options = KeyOptions(customer_id)
            return await api_keys.create(connection, name="a customer", role=Role.CLIENT, options=options)


def exact_json(response: httpx.Response) -> Any:
    """The body, with numbers that have a fraction as exact decimals."""
    return json.loads(response.content, parse_float=Decimal)


@asynccontextmanager
async def serve(service: Service[Any], database: Database, **settings: Any) -> AsyncIterator[Gateway]:
    """Serve the gateway on `database`; without a rate limit and without Kafka, unless `settings` has others."""
    values = {
        "database_url": database.dsn,
        "kafka_bootstrap": "127.0.0.1:9",
        "rate_limit_per_minute": 0,
        "database_pool_size": 25,
        "link_signing_key": "a key to sign links with",
        **settings,
    }
    service_settings = service.settings(**values)
    pool = await open_pool(database.dsn, size=service_settings.database_pool_size, application_name="test gateway")
    try:
        async with transaction(pool) as connection:
            for role in Role:
                await api_keys.add(connection, key=_key(role), name=role, role=role)
        app = service.gateway(Runtime(service, service_settings, pool, Health(service.name, service_settings)))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway/api/v1") as client:
            yield Gateway(app, pool, client, DocumentedResponses(app))
    finally:
        pool.terminate()


def _credential(key: str) -> dict[str, str]:
    if key.startswith("Bearer "):
        return {"Authorization": key}
    return {"X-API-Key": _key(key) if key in set(Role) else key}


def _key(role: str) -> str:
    return f"{role}.the-secret-of-a-test"
