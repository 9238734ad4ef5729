"""What becomes of a refund, whatever the provider does to it: the tables of docs/reference/refund-outcomes.md."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from common.database.transactions import Pool, open_pool, transaction
from refunds.app import SERVICE
from refunds.domain.book import Capture, EntryKind
from refunds.use_cases.booking import record_captures
from refunds.worker.event_job import EventJob
from refunds.worker.mail_job import MailJob
from refunds.worker.refund_job import RefundJob
from refunds.worker.sweep import sweep
from support.example.refunds import EVENT, RETRY_UNIT, open_refund
from support.gateway.application import serve
from support.jobs.handlers import running_worker
from support.mail.mailbox import Mailbox, running_mailbox
from support.mail.sending import mailer
from support.payments.behaviours import BEHAVIOURS, CALL_SECONDS, Behaviour, Scene, resets
from support.payments.dialects import DIALECTS, SECRET, Adapter, Dialect
from support.payments.outcomes import PAGE, Outcome, as_table, collapsed, commit_table, committed_table
from support.payments.sandbox import PaymentSandbox
from support.payments.webhook_receiver import webhook_receiver
from support.postgres.databases import Database
from support.waiting import eventually, time_passes

SENDER = "ArtiCurated <refunds@articurated.example>"
# How long nothing may happen any more, until the outcome counts as final.
QUIET_SECONDS = 2.0
LONGEST_SECONDS = 90
CONCURRENCY = 12
# Within the head and the body; the last position is beyond the end.
POSITIONS, AFTER_THE_END = (0, 60, 400), 100_000
# Requests and responses are shorter.
LONGEST_MESSAGE = 1200
# So many cases at a time, each with some calls, are settled long before LONGEST_SECONDS.
AT_ONCE = 120

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Case:
    behaviour: Behaviour
    payment: str
    email: str
    order_id: UUID


class Trial:
    """The service with one provider, and the cases that it goes through at the same time."""

    def __init__(self, adapter: Adapter, sandbox: PaymentSandbox, mailbox: Mailbox, pool: Pool) -> None:
        self._adapter = adapter
        self._sandbox = sandbox
        self._mailbox = mailbox
        self._pool = pool
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def outcomes(self, behaviours: Sequence[Behaviour]) -> dict[str, Outcome]:
        """By the name of the behaviour."""
        cases = {each.name: _case(each) for each in behaviours}
        await asyncio.gather(*(self._start(case) for case in cases.values()))
        await self._until_quiet()
        # Only now: what a webhook or a look-up shows is not to be found by the sweep.
        while await sweep(self._pool, self._adapter):
            await self._until_quiet()
        return {name: await self._outcome(case) for name, case in cases.items()}

    async def _start(self, case: Case) -> None:
        """Capture the payment and request its refund; the behaviour acts before and after that."""
        behaviour, sandbox = case.behaviour, self._sandbox
        scene = Scene(
            sandbox,
            case.payment,
            partial(self._wait_for_state, case),
            partial(self._wait_for_answer, case),
            partial(self._wait_for_event, case),
        )
        async with self._slots:
            await sandbox.declare_capture(case.payment, 7906, "EUR")
            async with transaction(self._pool) as connection:
                amount = Decimal("79.06")
                number = f"ORD-2026-{case.order_id.int % 10**6:06}"
                capture = Capture(case.order_id, EntryKind.CAPTURE, case.payment, amount, "EUR", number)
                await record_captures(connection, [(capture, EVENT)])
            for mode, options in behaviour.faults:
                await sandbox.fail(mode, **{"times": 1, "payment": case.payment, **options})  # type: ignore[arg-type]
            if behaviour.before is not None:
                await behaviour.before(scene)
            await open_refund(
                self._pool, payment_reference=case.payment, customer_email=case.email, order_id=case.order_id
            )
            if behaviour.after is not None:
                await behaviour.after(scene)

    async def _wait_for_state(self, case: Case, state: str) -> None:
        async def is_reached() -> bool:
            query = "SELECT status FROM refunds WHERE payment_reference = $1"
            return bool(await self._pool.fetchval(query, case.payment) == state)

        await eventually(is_reached, within=LONGEST_SECONDS, pause=0.2)

    async def _wait_for_answer(self, case: Case) -> None:
        async def is_answered() -> bool:
            query = "SELECT transaction_id FROM refunds WHERE payment_reference = $1"
            return await self._pool.fetchval(query, case.payment) is not None

        await eventually(is_answered, within=LONGEST_SECONDS, pause=0.2)

    async def _wait_for_event(self, case: Case) -> None:
        async def is_applied() -> bool:
            query = (
                "SELECT count(*) FROM provider_events JOIN jobs ON business_key = provider || ':' || event_id"
                " WHERE event::text LIKE '%' || $1 || '%' AND jobs.state = 'done'"
            )
            return bool(await self._pool.fetchval(query, case.payment))

        await eventually(is_applied, within=LONGEST_SECONDS, pause=0.2)

    async def _until_quiet(self) -> None:
        """Until no job is due soon, no refund is between two calls, and nothing has changed for a while."""
        seen, since = await self._progress(), asyncio.get_running_loop().time()
        deadline = since + LONGEST_SECONDS
        while (now := asyncio.get_running_loop().time()) < deadline:
            await time_passes(0.5, "whether nothing happens any more is the question")
            progress = await self._progress()
            if progress != seen or progress["busy"]:
                seen, since = progress, now
            elif now - since > QUIET_SECONDS:
                return
        pytest.fail(f"something still happens after {LONGEST_SECONDS} s: {seen}")

    async def _progress(self) -> dict[str, Any]:
        row = await self._pool.fetchrow(
            "SELECT (SELECT count(*) FROM jobs WHERE state = 'running' OR state = 'ready' AND due_at < now() + '20 s')"
            " + (SELECT count(*) FROM refunds WHERE status IN ('READY', 'CALLING', 'UNKNOWN')) AS busy,"
            " (SELECT count(*) FROM postings) AS postings, (SELECT count(*) FROM provider_events) AS events,"
            " (SELECT string_agg(status, ',' ORDER BY id) FROM refunds) AS states"
        )
        assert row is not None
        return dict(row)

    async def _outcome(self, case: Case) -> Outcome:
        row = await self._pool.fetchrow(
            "SELECT status, (SELECT string_agg(p.kind, ', ' ORDER BY position) FROM postings p"
            " JOIN book_payments b ON b.id = p.payment_id"
            " WHERE b.order_id = r.order_id AND p.kind <> 'CAPTURE') AS postings"
            " FROM refunds r WHERE payment_reference = $1",
            case.payment,
        )
        assert row is not None
        refunds = await self._sandbox.refunds(case.payment)
        subjects = [str(mail["Subject"]) for mail in reversed(await self._mailbox.messages_to(case.email))]
        return Outcome(
            state=row["status"],
            effective=sum(each["status"] in ("succeeded", "pending") for each in refunds),
            calls=collapsed(_calls(case.behaviour, await self._sandbox.all_calls(case.payment))),
            mails=", ".join(map(_told, subjects)) or "-",
            postings=row["postings"] or "-",
        )


def _told(subject: str) -> str:
    """What an e-mail says."""
    return "failed" if subject.startswith("About") else "returned" if "returned" in subject else "refunded"


def _calls(behaviour: Behaviour, calls: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"request ({each['outcome']})" if each["method"] == "POST" else "look-up"
        for each in calls
        if each["method"] == "POST" or behaviour.shows_look_ups
    ]


def _case(behaviour: Behaviour) -> Case:
    order_id = uuid4()
    return Case(behaviour, f"pi_{order_id.hex}", f"ada+{order_id.hex}@example.com", order_id)


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with running_mailbox(tmp_path_factory.mktemp("mailbox")) as running_one:
        yield running_one


@asynccontextmanager
async def trial(
    dialect: Dialect, sandbox: PaymentSandbox, mailbox: Mailbox, database: Database
) -> AsyncIterator[Trial]:
    """The worker with its sweep, and the route of webhooks, to which the sandbox sends them."""
    settings = {"payment_gateway": dialect.name, "payment_webhook_secret": SECRET}
    async with AsyncExitStack() as stack:
        gateway = await stack.enter_async_context(serve(SERVICE, database, **settings))
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(gateway.app), base_url="http://refunds")
        )

        async def forward(headers: Mapping[str, str], body: bytes) -> int:
            path = f"/api/v1/webhooks/{dialect.name}"
            return (await client.post(path, content=body, headers=dict(headers))).status_code

        receiver = await stack.enter_async_context(webhook_receiver(forward))
        await sandbox.send_webhooks(receiver.url, SECRET)
        stack.push_async_callback(sandbox.send_no_webhooks)
        pool = await stack.enter_async_context(_pool(database))
        adapter = dialect.adapter(sandbox.url, timeout=CALL_SECONDS)
        stack.push_async_callback(adapter.aclose)
        handlers = (
            RefundJob(adapter, call_seconds=CALL_SECONDS, concurrency=30),
            EventJob(),
            MailJob(mailer(mailbox.port, SENDER, mailbox.host)),
        )
        await stack.enter_async_context(
            running_worker(pool, *handlers, service="refunds", retry_unit_seconds=RETRY_UNIT)
        )
        yield Trial(adapter, sandbox, mailbox, pool)


@asynccontextmanager
async def _pool(database: Database) -> AsyncIterator[Pool]:
    pool = await open_pool(database.dsn, size=20, application_name="test worker")
    try:
        yield pool
    finally:
        pool.terminate()


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_each_behaviour_of_the_provider_has_the_outcome_of_the_page(
    dialect: Dialect, sandbox: PaymentSandbox, mailbox: Mailbox, database: Database
) -> None:
    cuts = {
        f"resets the {part} {where}": resets(part, positions)
        for part in ("request", "response")
        for where, positions in (("before its last byte", POSITIONS), ("after its last byte", [AFTER_THE_END]))
    }
    behaviours = [each for each in BEHAVIOURS if dialect.name in each.only]
    async with trial(dialect, dialect.sandbox(sandbox), mailbox, database) as running_trial:
        outcomes = await running_trial.outcomes([*behaviours, *itertools.chain(*cuts.values())])

    for name, outcome in outcomes.items():
        check(f"{dialect.name} {name}", outcome)
    rows = [(each.name, outcomes[each.name]) for each in behaviours]
    for name, positions in cuts.items():
        first, *others = (outcomes[each.name] for each in positions)
        assert others == [first] * len(others), name
        rows.append((name, first))
    table = as_table(rows)
    if os.environ.get("WRITE_OUTCOMES"):
        commit_table(dialect.name, table)
    assert committed_table(dialect.name) == table, f"`make refund-outcomes` writes {PAGE.name} anew"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_a_connection_that_is_reset_at_any_byte_ends_in_one_refund(
    dialect: Dialect, sandbox: PaymentSandbox, mailbox: Mailbox, database: Database
) -> None:
    """With STEP=1 at every byte, which takes some minutes."""
    positions = range(0, LONGEST_MESSAGE, int(os.environ.get("STEP", "60")))
    behaviours = [*resets("request", positions), *resets("response", positions)]
    outcomes: dict[str, Outcome] = {}
    async with trial(dialect, dialect.sandbox(sandbox), mailbox, database) as running_trial:
        for first in range(0, len(behaviours), AT_ONCE):
            outcomes |= await running_trial.outcomes(behaviours[first : first + AT_ONCE])

    for name, outcome in outcomes.items():
        assert (outcome.state, outcome.effective, outcome.mails) == ("SUCCEEDED", 1, "refunded"), f"{name}: {outcome}"


def check(name: str, outcome: Outcome) -> None:
    """What holds for every outcome, whatever the table says."""
    assert outcome.effective <= 1, f"{name}: {outcome}"
    assert (outcome.state == "SUCCEEDED") <= (outcome.effective == 1), f"{name}: {outcome}"
    assert outcome.mails.count("refunded") <= 1, f"{name}: {outcome}"
    assert (outcome.state == "SUCCEEDED") == (outcome.mails == "refunded"), f"{name}: {outcome}"
    assert outcome.mails.count("failed") <= (outcome.state == "DECLINED"), f"{name}: {outcome}"
