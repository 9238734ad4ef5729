"""The operators' command that explains an order."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from common.running.command_line import execute
from orders.app import SERVICE
from support.example.orders import place
from support.gateway.application import Gateway, serve
from support.logs import logging_restored
from support.postgres.databases import MakeDatabase


async def explained(order: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """The exit code, and what was printed."""
    capsys.readouterr()
    with logging_restored():
        code = await asyncio.to_thread(execute, SERVICE, ["explain", order, "--format", "json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out) if printed.out else printed.err


@pytest_asyncio.fixture
async def gateway(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gateway]:
    """The command has the settings of its database."""
    database = make_database("orders")
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    async with serve(SERVICE, database) as running:
        yield running


@pytest.mark.parametrize("member", ["id", "order_number"])
async def test_the_command_explains_an_order_by_its_id_and_its_number(
    gateway: Gateway, member: str, capsys: pytest.CaptureFixture[str]
) -> None:
    order = await place(gateway)
    code, explanation = await explained(order[member], capsys)
    assert code == 0
    assert explanation["order_number"] == order["order_number"]
    assert "awaiting-payment" in {finding["cause"] for finding in explanation["findings"]}
    assert [each["name"] for each in explanation["services"] if not each["answered"]] == [
        "returns",
        "invoicing",
        "refunds",
    ]
    assert all("EXPLAIN_API_KEY" in each["error"] for each in explanation["services"] if each["error"])


async def test_with_a_key_the_command_asks_the_other_services(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXPLAIN_API_KEY", "ops_0123456789ab.a-key-that-no-service-knows")
    for name in ("RETURNS_URL", "INVOICING_URL", "REFUNDS_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    order = await place(gateway)
    code, explanation = await explained(order["id"], capsys)
    assert code == 0
    assert {each["error"] for each in explanation["services"]} == {None, "ConnectError"}


@pytest.mark.usefixtures("gateway")
async def test_an_order_that_does_not_exist_ends_the_command_with_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    code, error = await explained("ORD-2026-999999", capsys)
    assert code == 1
    assert "ORD-2026-999999" in error
