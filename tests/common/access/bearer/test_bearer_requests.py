"""Requests with bearer tokens to a gateway: headers, rate limit, idempotency keys, and API keys beside them."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from common.access import api_keys
from common.access.actors import subject_id
from common.settings import ServiceSettings
from pydantic import ValidationError
from support.gateway.identity_provider import AUDIENCE, ISSUER, IdentityProvider, Key, sign
from support.gateway.vase_service import VASE, VaseGateway, open_vase_gateway
from support.postgres.databases import Database

API_KEY = 'ApiKey realm="articurated", header="X-API-Key"'


@pytest_asyncio.fixture
async def vase_gateway(database: Database, provider: IdentityProvider) -> AsyncIterator[VaseGateway]:
    async with open_vase_gateway(database, rate_limit_per_minute=8, **provider.settings) as vase_gateway:
        yield vase_gateway


def with_token(vase_gateway: VaseGateway, token: str, **headers: str) -> httpx.AsyncClient:
    return vase_gateway.client(None, Authorization=f"Bearer {token}", **headers)


async def test_a_token_opens_the_routes_of_its_role_only(vase_gateway: VaseGateway, rsa: Key) -> None:
    async with with_token(vase_gateway, sign(rsa, role="client", customer_id=str(uuid4()))) as client:
        made = await client.post("/vases", json=VASE)
        assert made.status_code == 201
        forbidden = await client.post(f"/vases/{made.json()['id']}/break")
    assert (forbidden.status_code, forbidden.json()["error"]["details"]) == (403, {"role": "client"})


async def test_each_refusal_says_how_to_authenticate(vase_gateway: VaseGateway, rsa: Key) -> None:
    async def ask(**headers: str) -> tuple[int, str | None]:
        async with vase_gateway.client(None, **headers) as client:
            answer = await client.get("/vases")
            return answer.status_code, answer.headers.get("WWW-Authenticate")

    assert await ask() == (401, f'{API_KEY}, Bearer realm="articurated"')
    assert await ask(**{"X-API-Key": "nobody.knows-this-secret"}) == (401, API_KEY)
    expired = await ask(Authorization=f"Bearer {sign(rsa, exp=1)}")
    assert expired == (
        401,
        'Bearer realm="articurated", error="invalid_token", error_description="The token has expired."',
    )
    for value in ("Bearer", "Bearer "):
        status, challenge = await ask(Authorization=value)
        assert (status, "invalid_request" in str(challenge)) == (400, True)
    assert (await ask(Authorization="Basic bWFyaWE6c2VjcmV0"))[0] == 401
    both = await ask(Authorization=f"Bearer {sign(rsa)}", **{"X-API-Key": vase_gateway.keys["ops"]})
    assert (both[0], "invalid_request" in str(both[1])) == (400, True)
    assert (await ask(Authorization=f"bEARER   {sign(rsa)}"))[0] == 200, "the scheme has no case (RFC 9110, 11.1)"


async def test_two_tokens_in_one_request_are_ambiguous(vase_gateway: VaseGateway, rsa: Key) -> None:
    async with vase_gateway.client(None) as client:
        headers = [("Authorization", f"Bearer {sign(rsa)}"), ("Authorization", f"Bearer {sign(rsa)}")]
        assert (await client.get("/vases", headers=headers)).status_code == 400


async def test_the_rate_limit_counts_subjects_and_not_tokens(vase_gateway: VaseGateway, rsa: Key) -> None:
    statuses = []
    for number in range(9):
        async with with_token(vase_gateway, sign(rsa, jti=str(number))) as client:
            statuses.append((await client.get("/vases")).status_code)
    assert statuses == [200] * 8 + [429]
    async with with_token(vase_gateway, sign(rsa, sub="anna")) as client:
        assert (await client.get("/vases")).status_code == 200


async def test_an_idempotency_key_belongs_to_one_subject(vase_gateway: VaseGateway, rsa: Key) -> None:
    """Also if the subject has the name of an API key whose response is stored."""
    headers = {"Idempotency-Key": "one"}
    prefix = vase_gateway.keys["ops"].partition(".")[0]
    async with vase_gateway.client("ops", **headers) as client:
        first = await client.post("/vases", json=VASE)
    async with with_token(vase_gateway, sign(rsa, sub=prefix, role="ops"), **headers) as client:
        second, again = await client.post("/vases", json=VASE), await client.post("/vases", json=VASE)
    assert second.json()["id"] != first.json()["id"]
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (second.json(), "true")
    assert subject_id(ISSUER, prefix) != api_keys.entity_id(prefix)


async def test_a_replayed_key_that_was_revoked_stays_rejected(database: Database, provider: IdentityProvider) -> None:
    async with (
        open_vase_gateway(database, api_key_cache_seconds=0, **provider.settings) as vase_gateway,
        vase_gateway.client("client") as client,
        vase_gateway.client("ops") as ops,
    ):
        assert (await client.get("/vases")).status_code == 200
        prefix = vase_gateway.keys["client"].partition(".")[0]
        assert (await ops.delete(f"/ops/api-keys/{prefix}")).status_code == 200
        assert [(await client.get("/vases")).status_code for _ in range(3)] == [401] * 3


async def test_without_an_issuer_a_token_is_refused_and_beside_an_api_key_it_is_ignored(
    database: Database, rsa: Key
) -> None:
    async with open_vase_gateway(database) as vase_gateway:
        async with with_token(vase_gateway, sign(rsa)) as client:
            answer = await client.get("/vases")
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, API_KEY)
        async with vase_gateway.client("ops", Authorization=f"Bearer {sign(rsa)}") as client:
            assert (await client.get("/vases")).status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"jwt_issuer": ISSUER},
        {"jwt_audience": AUDIENCE},
        {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE},
        {"jwt_issuer": ISSUER, "jwt_jwks_file": "keys.json"},
        {
            "jwt_issuer": ISSUER,
            "jwt_audience": AUDIENCE,
            "jwt_jwks_file": "keys.json",
            "jwt_jwks_url": "https://login.customers.example/keys",
        },
    ],
)
def test_an_incomplete_issuer_is_a_wrong_setting(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="JWT_ISSUER needs JWT_AUDIENCE and either JWT_JWKS_URL or JWT_JWKS_FILE"):
        ServiceSettings(**{"database_url": "postgresql://nowhere", "kafka_bootstrap": "nowhere", **settings})


@pytest.mark.parametrize("algorithms", ["HS256", "none", "RS256,HS256", "RS256 ES256", ","])
def test_only_asymmetric_algorithms_can_be_configured(algorithms: str) -> None:
    with pytest.raises(ValidationError, match="must be some of ES256, EdDSA, PS256, RS256"):
        ServiceSettings(database_url="postgresql://nowhere", kafka_bootstrap="nowhere", jwt_algorithms=algorithms)
