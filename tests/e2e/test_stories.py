"""The user stories on the complete stack, with real services, brokers and databases."""

import asyncio
import io
import os
import signal
import time
from collections import Counter

import pytest
from demo import journeys
from demo.__main__ import read_back
from demo.client import Shop
from demo.kafka_reader import expect_gapless, read_events
from demo.narrator import Narrator
from demo.stories import STORIES
from local_stack.stack_json import StackDescription
from rich.console import Console

CUSTOMERS = 200
CONCURRENCY = 8

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


async def delivered_order(shop: Shop) -> dict[str, str]:
    order = await journeys.place(shop, journeys.example("returned-order"))
    await journeys.pay(shop, order["id"], f"pi_{order['order_number']}")
    await journeys.pack(shop, order["id"])
    await journeys.ship(shop, order["id"])
    return await journeys.deliver(shop, order["id"])


async def test_the_three_stories_of_the_demo_have_their_expected_results(stack: StackDescription, shop: Shop) -> None:
    narrator = Narrator(Console(file=io.StringIO()))
    endings = [await story(shop, narrator) for story in STORIES]
    await read_back(stack, narrator, endings)


async def test_clients_can_return_orders_immediately_after_the_delivery(shop: Shop) -> None:
    """Each client requests the return immediately after the response DELIVERED, before the event is consumed."""
    slots = asyncio.Semaphore(CONCURRENCY)

    async def return_immediately() -> int:
        async with slots:
            order = await delivered_order(shop)
            body = {"order_id": order["id"], "reason": "changed my mind on the doorstep"}
            return (await shop.as_role("client", "POST", "/returns", body, service="returns")).status_code

    statuses = Counter(await asyncio.gather(*(return_immediately() for _ in range(CUSTOMERS))))
    assert statuses == {201: CUSTOMERS}


async def test_with_a_hung_broker_orders_are_accepted_and_health_reports_it_within_a_second(
    stack: StackDescription, shop: Shop
) -> None:
    kafka = next(process["pid"] for process in stack["processes"] if process["name"] == "kafka")
    orders = stack["services"]["orders"]["url"]
    os.kill(kafka, signal.SIGSTOP)
    try:
        order = await journeys.place(shop, journeys.example("kept-order"))
        start = time.monotonic()
        health = await shop.ask(f"{orders}/api/v1/health")
        assert time.monotonic() - start < 1
        assert health.status_code == 503
        assert health.json()["status"] == "unhealthy"
        ready = await shop.ask(f"{orders}/readyz")
        assert ready.status_code == 200
    finally:
        os.kill(kafka, signal.SIGCONT)

    async def is_published() -> bool | None:
        events = await read_events(stack["kafka"]["bootstrap"])
        return any(event.type == "order.created" and event.key == order["id"] for event in events) or None

    await shop.eventually("the order's event", is_published)


async def test_the_sequence_of_each_topic_and_key_has_no_gaps(stack: StackDescription) -> None:
    expect_gapless(await read_events(stack["kafka"]["bootstrap"]))
