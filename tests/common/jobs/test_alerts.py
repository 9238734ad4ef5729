"""Alerts: enqueued with what they report, sent by e-mail or to a webhook, once a day for one cause."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from common.database.transactions import Pool, transaction
from common.errors import PermanentFailure
from common.jobs import queue
from common.jobs.alert_job import AlertJob
from common.jobs.alerts import Alert, Alerts
from common.jobs.job import Job, NewJob
from common.jobs.worker import Worker
from common.settings import ServiceSettings
from prometheus_client import REGISTRY
from support.events.traceparent import TRACEPARENT
from support.jobs.handlers import FunctionHandler
from support.jobs.rows import wait_for_state
from support.mail.mailbox import Mailbox, running_mailbox
from support.running import running
from support.waiting import eventually

OPS = "ops@articurated.example"
ALERT = Alert("discrepancy:cracked_vase", "vase-1", "a vase\nis cracked", {"glaze": "blue", "pieces": 3})


def settings(**given: Any) -> ServiceSettings:
    return ServiceSettings(
        database_url="postgresql://nowhere/nothing", kafka_bootstrap="nowhere:9092", retry_unit_seconds=0.01, **given
    )


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    with running_mailbox(tmp_path) as mailbox:
        yield mailbox


class Webhook:
    """Answers with the next status of `answers`, and then with 204."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, Any]]] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alerts"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = json.loads(await reader.readexactly(int(lines["content-length"])))
        self.requests.append((lines["idempotency-key"], body))
        status = self.answers.pop(0) if self.answers else 204
        writer.write(f"HTTP/1.1 {status} Answer\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


async def enqueue(pool: Pool, given: ServiceSettings, *alerts: Alert) -> None:
    async with transaction(pool) as connection:
        for alert in alerts:
            await Alerts.of("workshop", given).enqueue(connection, alert)


async def test_an_alert_is_sent_by_e_mail(pool: Pool, mailbox: Mailbox) -> None:
    given = settings(ops_email=OPS, smtp_host=mailbox.host, smtp_port=mailbox.port)
    await enqueue(pool, given, ALERT)
    async with running(Worker(pool, [AlertJob(given)], "workshop", given).run):
        [message] = await eventually(lambda: mailbox.messages_to(OPS))

    assert message["subject"] == "[workshop] a vase is cracked"
    body = message.get_body(("plain",))
    assert body is not None
    assert "glaze: blue" in body.get_content()
    assert "pieces: 3" in body.get_content()


async def test_a_webhook_gets_the_alert_as_json_until_it_answers_with_success(pool: Pool) -> None:
    webhook = Webhook(500, 302)
    async with webhook.listening() as url:
        given = settings(ops_webhook_url=url)
        await enqueue(pool, given, ALERT)
        async with running(Worker(pool, [AlertJob(given)], "workshop", given).run):
            await eventually(lambda: pool.fetchval("SELECT state = 'done' FROM jobs"))

    keys, [first, *others] = zip(*webhook.requests, strict=True)
    assert len(set(keys)) == 1
    assert len(others) == 2
    assert (first["service"], first["cause"], first["subject"]) == ("workshop", ALERT.cause, "vase-1")
    assert first["details"] == {"glaze": "blue", "pieces": 3}
    errors = [row["error"] for row in await pool.fetch("SELECT error FROM job_attempts ORDER BY number")]
    assert errors == ["WebhookFailed: the webhook answered 500", "WebhookFailed: the webhook answered 302", None]


async def test_the_same_cause_alerts_once_a_day_on_each_channel(pool: Pool) -> None:
    given = settings(ops_email=OPS, ops_webhook_url="http://127.0.0.1:9/")
    await enqueue(pool, given, ALERT, ALERT)
    await enqueue(pool, given, ALERT)
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 2


async def test_an_alert_whose_channel_is_not_configured_any_more_is_not_counted_as_sent(
    pool: Pool, mailbox: Mailbox
) -> None:
    def sent() -> float:
        return REGISTRY.get_sample_value("alerts_total", {"outcome": "sent"}) or 0.0

    given = settings(ops_email=OPS, smtp_host=mailbox.host, smtp_port=mailbox.port)
    before = sent()
    for each, number in ((settings(), 0), (given, 1)):
        await enqueue(pool, given, ALERT)
        async with running(Worker(pool, [AlertJob(each)], "invoicing", each).run):
            await eventually(lambda: pool.fetchval("SELECT bool_and(state = 'done') FROM jobs"))
        assert sent() == before + number
        await pool.execute("DELETE FROM jobs")


async def test_without_a_channel_nothing_is_enqueued(pool: Pool) -> None:
    await enqueue(pool, settings(), ALERT)
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 0


async def fail(_job: Job) -> None:
    raise PermanentFailure("the kiln is cold")


async def test_a_permanent_failure_enqueues_an_alert_in_its_transaction(pool: Pool) -> None:
    given = settings(ops_email=OPS)
    async with transaction(pool) as connection:
        await queue.enqueue(connection, NewJob("glaze", "vase-1", {}, TRACEPARENT))
    async with running(Worker(pool, [FunctionHandler("glaze", fail)], "workshop", given).run):
        await wait_for_state(pool, "glaze", "vase-1", "dead")

    [job] = await pool.fetch("SELECT * FROM jobs WHERE kind = 'alert'")
    assert job["business_key"].startswith("mail:job-dead:glaze:vase-1:")
    alert = job["payload"]["alert"]
    assert alert["details"]["error"] == "PermanentFailure: the kiln is cold"
    assert job["traceparent"].split("-")[1] == TRACEPARENT.split("-")[1]


async def test_a_job_that_dies_again_after_a_replay_is_a_new_alert_on_the_same_day(pool: Pool) -> None:
    given = settings(ops_email=OPS)
    async with transaction(pool) as connection:
        await queue.enqueue(connection, NewJob("glaze", "vase-1", {}, TRACEPARENT))
    async with running(Worker(pool, [FunctionHandler("glaze", fail)], "workshop", given).run):
        for deaths in (1, 2):
            await wait_for_state(pool, "glaze", "vase-1", "dead")
            assert await pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'alert'") == deaths
            async with transaction(pool) as connection:
                await queue.replay_dead(connection, "glaze", "vase-1")


async def test_an_alert_that_cannot_be_sent_makes_no_alert(pool: Pool) -> None:
    given = settings(ops_webhook_url="http://127.0.0.1:9/")
    await enqueue(pool, given, ALERT)
    async with running(Worker(pool, [AlertJob(given)], "workshop", given).run):
        await eventually(lambda: pool.fetchval("SELECT state = 'dead' FROM jobs WHERE kind = 'alert'"))
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 1
