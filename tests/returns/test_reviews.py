"""Returns that nobody decides about: a reminder, an escalation, and the decision of the system if it is configured."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from common.database.transactions import Pool, reading
from prometheus_client import REGISTRY
from returns.app import SERVICE
from returns.domain.four_eyes import FourEyes
from returns.domain.review import ReviewPolicy
from returns.use_cases.jobs import REVIEW_JOB
from returns.use_cases.reviews import review_gauges
from returns.worker.review_job import ReviewJob
from support.example.returns import changed, open_return, order_view_data
from support.gateway.application import Gateway, serve
from support.jobs.attempts import attempt, claim_jobs, complete
from support.jobs.handlers import running_worker
from support.mail.mailbox import Mailbox, running_mailbox
from support.mail.sending import mailer
from support.postgres.audit_and_events import audit_and_events
from support.postgres.databases import MakeDatabase
from support.waiting import eventually

SENDER = "ArtiCurated <returns@articurated.example>"
NOTES = {"manager_notes": "cracks are visible on the photo"}
SOON = timedelta(milliseconds=20)


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with running_mailbox(tmp_path_factory.mktemp("mailbox")) as running:
        yield running


def an_address() -> str:
    return f"reviews+{uuid4().hex}@articurated.example"


def handler(mailbox: Mailbox, to: str | None, policy: ReviewPolicy | None = None, four_eyes: str = "") -> ReviewJob:
    policy = policy or ReviewPolicy()
    return ReviewJob(mailer(mailbox.port, SENDER, mailbox.host), to, policy, FourEyes.parse(four_eyes))


async def let_time_pass(pool: Pool) -> None:
    await pool.execute("UPDATE jobs SET due_at = now() WHERE state = 'ready'")


async def steps_of(pool: Pool, opened: dict[str, Any]) -> dict[str, tuple[str, float]]:
    """The state of each job, and the hours from the opening until it is due."""
    rows = await pool.fetch(
        "SELECT payload->>'step' AS step, j.state, extract(epoch FROM j.due_at - r.created_at) / 3600 AS hours "
        "FROM jobs j JOIN returns r ON r.id = $1 WHERE j.business_key LIKE $2",
        UUID(opened["id"]),
        f"{opened['id']}:%",
    )
    return {row["step"]: (row["state"], round(float(row["hours"]), 1)) for row in rows}


async def reviews_in_history(gateway: Gateway, opened: dict[str, Any]) -> list[tuple[str, str, str | None]]:
    history = (await gateway.get(f"/returns/{opened['id']}/history?include=all")).json()["data"]
    return [
        (each["trigger"], each["metadata"]["review"], each["metadata"].get("outcome"))
        for each in history
        if "review" in each["metadata"]
    ]


async def run_due(pool: Pool, job_handler: ReviewJob) -> int:
    jobs = await claim_jobs(pool, REVIEW_JOB, 100)
    for job in jobs:
        await complete(job_handler, job)
    return len(jobs)


async def test_the_reminder_is_due_a_day_after_the_opening_and_not_before(fresh_gateway: Gateway) -> None:
    opened = await open_return(fresh_gateway)
    assert await steps_of(fresh_gateway.pool, opened) == {"REMINDER": ("ready", 24.0)}
    assert await claim_jobs(fresh_gateway.pool, REVIEW_JOB, 1) == []


async def test_a_return_without_a_decision_causes_one_reminder_and_one_escalation(
    fresh_gateway: Gateway, mailbox: Mailbox
) -> None:
    pool, to = fresh_gateway.pool, an_address()
    opened, review_job = await open_return(fresh_gateway), handler(mailbox, to)
    for _ in range(4):
        await let_time_pass(pool)
        await run_due(pool, review_job)
    escalation, reminder = await mailbox.messages_to(to)
    assert reminder["Subject"] == f"A return waits for your decision: order {opened_number(reminder)}"
    assert str(escalation["Subject"]).startswith("A return still waits, in spite of a reminder")
    assert reminder["Message-ID"] == f"<return-review-{opened['id']}-reminder@articurated.example>"
    assert opened["id"] in reminder.get_content()
    assert await reviews_in_history(fresh_gateway, opened) == [
        ("BACKGROUND_JOB", "REMINDER", "mailed"),
        ("BACKGROUND_JOB", "ESCALATION", "mailed"),
    ]
    assert (await fresh_gateway.get(f"/returns/{opened['id']}")).json() == opened
    assert (await audit_and_events(pool, "RETURN", opened["id"])).events == [("return.requested", 1)]


def opened_number(message: Any) -> str:
    return str(message["Subject"]).rpartition(" ")[2]


async def test_the_escalation_is_due_as_long_after_the_reminder(fresh_gateway: Gateway, mailbox: Mailbox) -> None:
    opened = await open_return(fresh_gateway)
    await let_time_pass(fresh_gateway.pool)
    await run_due(fresh_gateway.pool, handler(mailbox, an_address()))
    assert await steps_of(fresh_gateway.pool, opened) == {"REMINDER": ("done", 0.0), "ESCALATION": ("ready", 24.0)}


@pytest.mark.parametrize(
    ("route", "body"), [("approve", NOTES), ("reject", {**NOTES, "rejection_reason": "policy_violation"})]
)
async def test_after_a_decision_the_step_has_nothing_to_do(
    fresh_gateway: Gateway, mailbox: Mailbox, route: str, body: dict[str, str]
) -> None:
    pool, to = fresh_gateway.pool, an_address()
    opened = await open_return(fresh_gateway)
    changed(await fresh_gateway.patch(f"/returns/{opened['id']}/{route}", body))
    await let_time_pass(pool)
    assert await run_due(pool, handler(mailbox, to)) == 1
    assert await mailbox.messages_to(to) == []
    assert await steps_of(pool, opened) == {"REMINDER": ("done", 0.0)}
    assert await reviews_in_history(fresh_gateway, opened) == []


async def test_a_crash_after_the_result_was_stored_sends_no_second_mail(
    fresh_gateway: Gateway, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, to = fresh_gateway.pool, an_address()
    opened, review_job = await open_return(fresh_gateway), handler(mailbox, to)
    await let_time_pass(pool)
    [job] = await claim_jobs(pool, REVIEW_JOB, 1)

    async def crash(*_: object) -> None:
        raise ConnectionError("the database went away")

    with monkeypatch.context() as patch:
        patch.setattr(review_job, "on_success", crash)
        await attempt(job, review_job, (1, 1))
    await let_time_pass(pool)
    await run_due(pool, review_job)
    assert len(await mailbox.messages_to(to)) == 1
    assert await reviews_in_history(fresh_gateway, opened) == [("BACKGROUND_JOB", "REMINDER", "mailed")]


async def test_a_reminder_that_cannot_be_mailed_is_a_dead_job_and_is_escalated_all_the_same(
    fresh_gateway: Gateway, mailbox: Mailbox
) -> None:
    pool, to = fresh_gateway.pool, an_address()
    opened, review_job = await open_return(fresh_gateway), handler(mailbox, to)
    await mailbox.fail("refuse", times=None, recipient=to)
    await let_time_pass(pool)
    for _ in range(4):
        for job in await claim_jobs(pool, REVIEW_JOB, 1):
            await attempt(job, review_job, review_job.retry_delays)
    assert {step: state for step, (state, _) in (await steps_of(pool, opened)).items()} == {
        "REMINDER": "dead",
        "ESCALATION": "ready",
    }
    [(_, step, outcome)] = await reviews_in_history(fresh_gateway, opened)
    assert step == "REMINDER"
    assert (outcome or "").startswith("not mailed")


async def test_without_an_address_the_steps_are_only_recorded(fresh_gateway: Gateway, mailbox: Mailbox) -> None:
    opened = await open_return(fresh_gateway)
    await let_time_pass(fresh_gateway.pool)
    await run_due(fresh_gateway.pool, handler(mailbox, None))
    assert await reviews_in_history(fresh_gateway, opened) == [("BACKGROUND_JOB", "REMINDER", "no address")]


@pytest.mark.parametrize(("decision", "status"), [("approve", "APPROVED"), ("reject", "REJECTED")])
async def test_the_system_decides_where_that_is_configured(
    make_database: MakeDatabase, mailbox: Mailbox, decision: str, status: str
) -> None:
    settings: dict[str, Any] = {"return_auto_decision": decision, "return_auto_decision_hours": 48}
    async with serve_returns(make_database, **settings) as gateway:
        opened = await open_return(gateway)
        assert (await steps_of(gateway.pool, opened))["DECISION"] == ("ready", 48.0)
        policy = ReviewPolicy(decision=settings["return_auto_decision"], decide_after=timedelta(hours=48))
        await let_time_pass(gateway.pool)
        await run_due(gateway.pool, handler(mailbox, None, policy))
        now = (await gateway.get(f"/returns/{opened['id']}")).json()
        assert now["status"] == status
        assert now["manager_notes"].startswith("Decided by the system")
        [row] = (await gateway.get(f"/returns/{opened['id']}/history")).json()["data"]
        assert (row["actor_type"], row["actor_id"], row["trigger"]) == ("SYSTEM", None, "BACKGROUND_JOB")
        events = (await audit_and_events(gateway.pool, "RETURN", opened["id"])).events
        assert events == [("return.requested", 1), (f"return.{status.lower()}", 2)]


async def test_an_approval_that_needs_two_people_is_left_to_them(make_database: MakeDatabase, mailbox: Mailbox) -> None:
    async with serve_returns(make_database, return_auto_decision="approve") as gateway:
        opened = await open_return(gateway, order_view_data())
        await let_time_pass(gateway.pool)
        await run_due(gateway.pool, handler(mailbox, None, ReviewPolicy(decision="approve"), four_eyes="10"))
        assert (await gateway.get(f"/returns/{opened['id']}")).json()["status"] == "REQUESTED"
        assert ("BACKGROUND_JOB", "DECISION", "left to people") in await reviews_in_history(gateway, opened)


async def test_a_worker_reminds_on_time(make_database: MakeDatabase, mailbox: Mailbox) -> None:
    to = an_address()
    hours = SOON / timedelta(hours=1)
    async with serve_returns(make_database, return_review_hours=hours) as gateway:
        opened = await open_return(gateway)
        async with running_worker(gateway.pool, handler(mailbox, to, ReviewPolicy(SOON)), service="returns"):

            async def both_are_mailed() -> bool:
                return len(await mailbox.messages_to(to)) == 2

            await eventually(both_are_mailed)
        assert {state for state, _ in (await steps_of(gateway.pool, opened)).values()} == {"done"}


async def test_the_age_and_the_number_of_overdue_reviews_are_measured(fresh_gateway: Gateway) -> None:
    pool = fresh_gateway.pool
    first, _, decided = [await open_return(fresh_gateway) for _ in range(3)]
    changed(await fresh_gateway.patch(f"/returns/{decided['id']}/approve", NOTES))
    await pool.execute(
        "UPDATE returns SET created_at = created_at - interval '30 hours' WHERE id = any($1)",
        [UUID(first["id"]), UUID(decided["id"])],
    )
    async with reading(pool) as connection:
        await review_gauges(ReviewPolicy())(connection)
    assert REGISTRY.get_sample_value("returns_overdue_reviews") == 1
    age = REGISTRY.get_sample_value("returns_oldest_unreviewed_age_seconds")
    assert age is not None
    assert 30 * 3600 <= age < 30 * 3600 + 60


def serve_returns(make_database: MakeDatabase, **settings: Any) -> Any:
    return serve(SERVICE, make_database("returns"), **settings)
