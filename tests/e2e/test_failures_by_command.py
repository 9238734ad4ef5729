"""Each kind of final failure shows in the metrics within seconds, and ends well after a replay by command."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest
from demo.client import Shop
from local_stack.stack_json import StackDescription
from prometheus_client.parser import text_string_to_metric_families
from support.failures.final_failures import FAILURES, PARKED, POISON, Failure, Stage
from support.processes.stack import RunningStack
from support.processes.tls import TLS
from support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

SHOWN_WITHIN_SECONDS = 5
METRICS = {POISON: "poison_kept_rows", PARKED: "outbox_parked_rows"}


@pytest.fixture
def stage(running: RunningStack, shop: Shop) -> Stage:
    return Stage(shop, running.folder)


async def operate(stack: StackDescription, service: str, *arguments: str) -> Any:
    """What a command of the service prints, run as on a host that has only the addresses of its servers."""
    addresses = {"DATABASE_URL": stack["databases"][service], "KAFKA_BOOTSTRAP": stack["kafka"]["bootstrap"]}

    def run() -> str:
        command = [sys.executable, "-m", service, *arguments]
        finished = subprocess.run(command, env=os.environ | addresses, capture_output=True, text=True, check=False)
        assert finished.returncode == 0, finished.stderr
        return finished.stdout

    return json.loads(await asyncio.to_thread(run))


async def replay(stack: StackDescription, failure: Failure) -> None:
    if failure.section == PARKED:
        event, *_ = (await operate(stack, failure.service, "outbox", "list", "--state", "parked"))["data"]
        await operate(stack, failure.service, "outbox", "replay", str(event["position"]))
    elif failure.section == POISON:
        record, *_ = (await operate(stack, failure.service, "poison", "list", "--state", "kept"))["data"]
        await operate(stack, failure.service, "poison", "replay", record["id"])
    else:
        of_kind = ("--state", "dead", "--kind", str(failure.job_kind))
        job, *_ = (await operate(stack, failure.service, "jobs", "list", *of_kind))["data"]
        await operate(stack, failure.service, "jobs", "replay", job["id"])


async def measured(stack: StackDescription, failure: Failure) -> float:
    """The figure that fires the alert, by the processes of the service."""
    name = METRICS.get(failure.section, "jobs_dead_rows")
    urls = {each["url"] for each in stack["processes"] if each["service"] == failure.service}
    async with httpx.AsyncClient(verify=TLS) as client:
        pages = [(await client.get(f"{url}/metrics")).raise_for_status().text for url in urls]
    samples = (
        sample
        for page in pages
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name and sample.labels.get("kind") == failure.job_kind
    )
    return max((sample.value for sample in samples), default=0)


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name)
async def test_a_final_failure_is_measured_within_five_seconds_and_its_replay_by_command_ends_well(
    failure: Failure, stage: Stage
) -> None:
    before = await measured(stage.stack, failure)
    order_id = await failure.cause(stage)

    async def is_final() -> bool:
        return await failure.is_final(stage)

    async def is_measured() -> bool:
        return await measured(stage.stack, failure) > before

    async def is_well() -> bool:
        return await failure.is_well(stage, order_id)

    await eventually(is_final)
    await eventually(is_measured, within=SHOWN_WITHIN_SECONDS)
    await failure.mend(stage)

    await replay(stage.stack, failure)

    await eventually(is_well)
