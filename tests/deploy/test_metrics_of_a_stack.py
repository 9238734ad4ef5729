"""A running stack exposes every metric of the dashboard and the alerts, with a value."""

import asyncio
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from demo.client import Shop
from demo.narrator import Narrator
from demo.own_stack import fresh_stack
from demo.stories import STORIES
from generators.monitored import metrics_in_use
from local_stack.stack_json import StackDescription
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_after_the_demo_every_monitored_metric_has_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATE_LIMIT_PER_MINUTE", "0")
    with TemporaryDirectory(prefix="articurated-metrics-") as folder, fresh_stack(Path(folder) / "stack") as stack:
        shop = Shop(stack)
        for story in STORIES:
            await story(shop, Narrator(Console(file=io.StringIO())))
        await shop.close()
        names = await exposed_metrics(stack)

    assert metrics_in_use() - names == set()


async def exposed_metrics(stack: StackDescription) -> set[str]:
    async with httpx.AsyncClient() as client:
        services = [process["url"] for process in stack["processes"] if process["service"] in stack["services"]]
        pages = await asyncio.gather(*(client.get(f"{url}/metrics") for url in services))
    return {
        sample.name
        for page in pages
        for family in text_string_to_metric_families(page.raise_for_status().text)
        for sample in family.samples
    }
