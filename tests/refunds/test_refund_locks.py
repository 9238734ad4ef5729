"""While rows of a refund job are locked, the gateway is called once and one e-mail is sent."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio
from common.database.transactions import Pool, open_pool
from refunds.payment_gateway.port import GatewayRefund, RefundCall
from refunds.payment_gateway.stripe import StripeGateway
from refunds.use_cases.jobs import MAIL_JOB
from refunds.worker.mail_job import MailJob
from refunds.worker.refund_job import RefundJob
from support.example.refunds import RETRY_UNIT, job_in_state, job_of, open_refund
from support.jobs.handlers import running_worker
from support.mail.mailbox import Mailbox, running_mailbox
from support.mail.sending import mailer
from support.payments.fake_gateway import FakePaymentGateway
from support.postgres.databases import Database
from support.waiting import eventually


@pytest_asyncio.fixture
async def impatient_pool(database: Database) -> AsyncIterator[Pool]:
    """The worker's connections, with a lock timeout of 200 ms."""
    pool = await open_pool(database.dsn, application_name="impatient_pool", server_settings={"lock_timeout": "200ms"})
    yield pool
    await asyncio.wait_for(pool.close(), 20)


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with running_mailbox(tmp_path_factory.mktemp("mailbox")) as running:
        yield running


class CountedGateway(FakePaymentGateway):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def refund(self, call: RefundCall) -> GatewayRefund:
        self.calls.append("refund")
        return await super().refund(call)

    async def find(self, call: RefundCall) -> GatewayRefund | None:
        self.calls.append("find")
        return await super().find(call)


@pytest.mark.parametrize("table", ["refunds", "audit", "outbox", "event_streams"])
async def test_a_temporarily_locked_table_repeats_no_call_and_no_mail(
    database: Database, pool: Pool, impatient_pool: Pool, mailbox: Mailbox, table: str
) -> None:
    address = f"{uuid4().hex}@example.org"
    refund, gateway = await open_refund(pool, customer_email=address), CountedGateway()
    mail_job = MailJob(
        mailer(mailbox.port, "ArtiCurated <billing@articurated.example>", mailbox.host, timeout_seconds=5)
    )
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        lock = owner.transaction()
        await lock.start()
        await owner.execute(f"LOCK TABLE {table} IN SHARE MODE")
        async with running_worker(impatient_pool, RefundJob(gateway), mail_job, retry_unit_seconds=RETRY_UNIT):
            await eventually(lambda: pool.fetchval("SELECT true FROM jobs WHERE kind = 'refund' AND attempts > 4"))
            await lock.rollback()
            job = await job_in_state(pool, refund, "done")
            await job_in_state(pool, refund, "done", MAIL_JOB)
    finally:
        await owner.close()
    assert gateway.calls == ["refund"]
    assert {outcome for outcome, _ in job.attempts} == {"handed_back", "succeeded"}
    assert len(await mailbox.messages_to(address)) == 1


@pytest.mark.timeout(120)
async def test_an_empty_response_says_nothing_so_that_the_refund_is_looked_up_and_not_sent_again(pool: Pool) -> None:
    """A proxy between us and the gateway may send any response."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 32\r\nConnection: close\r\n\r\n"
        writer.write(head + bytes(32))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    gateway = StripeGateway(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", "sk_test_1", timeout=2)
    refunds = [await open_refund(pool) for _ in range(2)]
    async with server, aclosing(gateway), running_worker(pool, RefundJob(gateway)):
        await eventually(lambda: pool.fetchval("SELECT count(*) > 5 FROM refund_calls WHERE kind = 'LOOK_UP'"))
    for refund in refunds:
        row = await pool.fetchrow("SELECT status, attempts FROM refunds WHERE id = $1", refund.id)
        assert row is not None
        assert tuple(row) == ("UNKNOWN", 1)
        assert {outcome for outcome, _ in (await job_of(pool, refund)).attempts} == {"handed_back"}
    rows = await pool.fetch("SELECT type FROM outbox WHERE topic = 'articurated.refunds'")
    assert [row["type"] for row in rows] == ["refund.processing"] * 2
