"""Webhooks over HTTP: stored once, by the signature of their raw bytes."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator

import pytest_asyncio
from pydantic import SecretStr
from refunds.app import SERVICE
from support.gateway.application import Gateway, serve
from support.postgres.databases import Database

SECRET = "whsec_route"
BODY = json.dumps(
    {
        "id": "evt_1",
        "type": "refund.updated",
        "created": 1_796_000_000,
        "data": {
            "object": {
                "id": "re_1",
                "status": "succeeded",
                "amount": 7906,
                "currency": "eur",
                "payment_intent": "pi_1",
                "created": 1_796_000_000,
                "metadata": {},
            }
        },
    },
    indent=1,
).encode()


@pytest_asyncio.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, database, payment_webhook_secret=SecretStr(SECRET)) as running:
        yield running


def signed(body: bytes, seconds_ago: int = 0) -> dict[str, str]:
    at = int(time.time()) - seconds_ago
    signature = hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={signature}", "Content-Type": "application/json"}


async def stored(gateway: Gateway) -> list[tuple[str, bytes]]:
    rows = await gateway.pool.fetch("SELECT event_id, body FROM provider_events")
    return [tuple(row) for row in rows]


async def test_a_signed_webhook_is_stored_once_with_its_job(gateway: Gateway) -> None:
    for _ in range(3):
        response = await gateway.call("POST", "/webhooks/stripe", BODY, headers=signed(BODY))
        assert (response.status_code, response.json()) == (200, {"received": True})
    assert await stored(gateway) == [("evt_1", BODY)]
    assert await gateway.pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'gateway-event'") == 1


async def test_a_forged_or_old_webhook_is_refused_and_not_stored(gateway: Gateway) -> None:
    compact = json.dumps(json.loads(BODY)).encode()
    attempts = [(compact, signed(BODY)), (BODY, signed(BODY, seconds_ago=301)), (BODY, {})]
    for body, headers in attempts:
        response = await gateway.call("POST", "/webhooks/stripe", body, headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (400, "BAD_REQUEST")
    assert await stored(gateway) == []


async def test_a_provider_that_is_not_configured_has_no_route(gateway: Gateway) -> None:
    response = await gateway.call("POST", "/webhooks/adyen", BODY, headers=signed(BODY))
    assert response.status_code == 404
