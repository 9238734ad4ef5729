"""The e-mail that confirms a refund: its content, and its failure, which does not change the refund."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import structlog
from common.database.transactions import Pool
from common.messaging.dead_letters import dead_letter_topic
from prometheus_client import REGISTRY
from refunds.domain.refund import Refund
from refunds.domain.request import Cause
from refunds.payment_gateway.port import Declined, GatewayRefund, RefundCall
from refunds.use_cases.jobs import MAIL_JOB
from refunds.worker.mail_job import MailJob, refund_mail
from refunds.worker.refund_job import RefundJob
from support.example.refunds import NOW, a_refund, job_in_state, job_of, open_refund, replay, running_worker
from support.mail.mailbox import Mailbox, running_mailbox
from support.mail.sending import mailer
from support.payments.fake_gateway import FakePaymentGateway
from support.waiting import eventually

SENDER = "ArtiCurated <refunds@articurated.example>"


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    with running_mailbox(tmp_path_factory.mktemp("mailbox")) as running:
        yield running


@pytest.fixture
def mail_job(pool: Pool, mailbox: Mailbox) -> MailJob:
    return MailJob(mailer(mailbox.port, SENDER, mailbox.host))


async def completed_refund(pool: Pool, **changes: Any) -> Refund:
    """A completed refund whose confirmation is not sent yet, with its own address."""
    request = {"customer_email": f"ada+{a_refund().id.hex}@example.com", **changes}
    refund = await open_refund(pool, **request)
    async with running_worker(pool, RefundJob(FakePaymentGateway())):
        await job_in_state(pool, refund, "done")
    return refund


def address_of(refund: Refund) -> str:
    assert refund.request.customer_email is not None
    return refund.request.customer_email


async def test_the_confirmation_contains_the_amount_and_the_reason(
    pool: Pool, mailbox: Mailbox, mail_job: MailJob
) -> None:
    refund = await completed_refund(pool, amount=Decimal("1234.50"))
    async with running_worker(pool, mail_job):
        await job_in_state(pool, refund, "done", MAIL_JOB)

    (message,) = await mailbox.messages_to(address_of(refund))
    assert message["Subject"] == "Your refund of 1,234.50 EUR for order ORD-2026-000042"
    assert message["From"] == SENDER
    assert message["Message-ID"] == f"<refund-{refund.id}@articurated.example>"
    body = message.get_body(("plain",))
    assert body is not None
    text = body.get_content()
    assert text.startswith("Dear Ada Łukasiewicz,")
    assert "We have received your return, and we have refunded 1,234.50 EUR" in " ".join(text.split())
    formatted = message.get_body(("html",))
    assert formatted is not None
    assert "<p>Dear Ada Łukasiewicz,</p>" in formatted.get_content()
    assert "Reference: re_" in text


@pytest.mark.parametrize(
    ("cause", "reason"),
    [(Cause.ORDER_CANCELLED, "Your order was cancelled"), (Cause.LATE_PAYMENT, "Your payment reached us after")],
)
def test_the_confirmation_states_the_cause_in_words_for_the_customer(cause: Cause, reason: str) -> None:
    refund = a_refund(cause=cause, return_id=None, amount=Decimal(5400), currency="JPY", customer_name=None)
    mail = refund_mail(refund.succeed("re_1", NOW))
    assert mail.text.startswith(f"Dear customer,\n\n{reason}")
    assert "5,400 JPY" in mail.text


class Declining(FakePaymentGateway):
    """Declines everything, until it is told not to."""

    is_closed = True

    async def refund(self, call: RefundCall) -> GatewayRefund:
        if self.is_closed:
            raise Declined("402: the account is closed")
        return await super().refund(call)


async def failed_refund(pool: Pool, gateway: Declining) -> Refund:
    refund = await open_refund(pool, customer_email=f"ada+{a_refund().id.hex}@example.com")
    async with running_worker(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    return refund


async def replayed(pool: Pool, gateway: Declining, refund: Refund, state: str) -> None:
    await replay(pool, (await job_of(pool, refund)).id)
    async with running_worker(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, state)


async def mails(pool: Pool, mailbox: Mailbox, mail_job: MailJob, refund: Refund) -> list[str]:
    """Their subjects, once nothing more is to be sent; the oldest first."""
    async with running_worker(pool, mail_job):
        await eventually(
            lambda: pool.fetchval("SELECT NOT EXISTS (SELECT FROM jobs WHERE kind = $1 AND state <> 'done')", MAIL_JOB)
        )
    return [str(each["Subject"]) for each in reversed(await mailbox.messages_to(address_of(refund)))]


FAILED = "About your refund of 79.06 EUR for order ORD-2026-000042"
REFUNDED = "Your refund of 79.06 EUR for order ORD-2026-000042"


async def test_a_customer_is_told_once_that_a_refund_failed_and_then_that_it_was_made(
    pool: Pool, mailbox: Mailbox, mail_job: MailJob
) -> None:
    gateway = Declining()
    refund = await failed_refund(pool, gateway)
    assert await mails(pool, mailbox, mail_job, refund) == [FAILED]

    await replayed(pool, gateway, refund, "dead")
    assert await mails(pool, mailbox, mail_job, refund) == [FAILED], "another failure is nothing new"

    gateway.is_closed = False
    await replayed(pool, gateway, refund, "done")
    assert await mails(pool, mailbox, mail_job, refund) == [FAILED, REFUNDED]


async def test_a_failure_that_is_over_before_its_mail_is_sent_is_not_told(
    pool: Pool, mailbox: Mailbox, mail_job: MailJob
) -> None:
    gateway = Declining()
    refund = await failed_refund(pool, gateway)
    gateway.is_closed = False
    await replayed(pool, gateway, refund, "done")
    sent = sent_mails()
    assert await mails(pool, mailbox, mail_job, refund) == [REFUNDED]
    assert sent_mails() == sent + 1, "the e-mail that was not sent is not counted"


def sent_mails() -> float:
    return REGISTRY.get_sample_value("refund_mails_total", {"outcome": "sent"}) or 0.0


async def test_the_mail_of_a_failure_waits_while_the_refund_is_tried_again(
    pool: Pool, mailbox: Mailbox, mail_job: MailJob
) -> None:
    gateway = Declining()
    refund = await failed_refund(pool, gateway)
    await replay(pool, (await job_of(pool, refund)).id)
    await pool.execute("UPDATE refunds SET status = 'READY'")
    async with running_worker(pool, mail_job):
        query = "SELECT last_error LIKE '%is tried again' FROM jobs WHERE kind = $1"
        await eventually(lambda: pool.fetchval(query, MAIL_JOB))
    assert await mailbox.messages_to(address_of(refund)) == []

    async with running_worker(pool, RefundJob(gateway)):
        await job_in_state(pool, refund, "dead")
    assert await mails(pool, mailbox, mail_job, refund) == [FAILED]


def test_the_mail_of_a_failure_gives_no_reason_and_asks_for_nothing() -> None:
    mail = refund_mail(a_refund().fail("402: the account is closed"), "FAILED")
    text = " ".join(mail.text.split())
    assert "We have not been able to refund 79.06 EUR for order ORD-2026-000042 yet. You do not need to do" in text
    assert "402" not in text


def test_a_name_is_escaped_in_html() -> None:
    mail = refund_mail(a_refund(customer_name="<b>Zoë</b>").succeed("re_1", NOW))
    assert mail.html is not None
    assert "Dear &lt;b&gt;Zoë&lt;/b&gt;," in mail.html


def test_a_refund_that_was_not_made_has_no_confirmation() -> None:
    with pytest.raises(ValueError, match="no e-mail address, or has not succeeded"):
        refund_mail(a_refund())
    with pytest.raises(ValueError, match="no e-mail address, or has not succeeded"):
        refund_mail(a_refund(customer_email=None).succeed("re_1", NOW))


async def test_a_temporary_rejection_by_the_mail_server_is_retried(
    pool: Pool, mailbox: Mailbox, mail_job: MailJob
) -> None:
    refund = await completed_refund(pool)
    await mailbox.fail("refuse", 2, address_of(refund))
    async with running_worker(pool, mail_job):
        job = await job_in_state(pool, refund, "done", MAIL_JOB)
    assert [outcome for outcome, _ in job.attempts] == ["failed", "failed", "succeeded"]
    assert len(await mailbox.messages_to(address_of(refund))) == 1


async def test_an_invalid_address_of_an_older_order_fails_the_mail_immediately_and_not_the_refund(
    pool: Pool, mail_job: MailJob
) -> None:
    refund = await completed_refund(pool, customer_email="=?utf-8?q?abc?=@customers.example")
    async with running_worker(pool, mail_job):
        job = await job_in_state(pool, refund, "dead", MAIL_JOB)
    assert job.attempts == [("failed", "UnusableAddress: the address is malformed")]
    assert await pool.fetchval("SELECT status FROM refunds WHERE id = $1", refund.id) == "SUCCEEDED"


async def test_a_message_that_is_sent_twice_has_the_same_id(pool: Pool, mailbox: Mailbox, mail_job: MailJob) -> None:
    refund = await completed_refund(pool)
    await mailbox.fail("drop_after_data", 1, address_of(refund))
    async with running_worker(pool, mail_job):
        await job_in_state(pool, refund, "done", MAIL_JOB)
    first, second = await mailbox.messages_to(address_of(refund))
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_mail_that_cannot_be_sent_is_a_dead_letter_and_the_refund_stays_made(
    pool: Pool, mailbox: Mailbox, mail_job: MailJob
) -> None:
    refund = await completed_refund(pool)
    await mailbox.fail("refuse", None, address_of(refund))
    with structlog.testing.capture_logs() as logs:
        async with running_worker(pool, mail_job):
            job = await job_in_state(pool, refund, "dead", MAIL_JOB)

    assert [outcome for outcome, _ in job.attempts] == ["failed"] * 4
    assert await pool.fetchval("SELECT status FROM refunds WHERE id = $1", refund.id) == "SUCCEEDED"
    topics = [row["topic"] for row in await pool.fetch("SELECT topic FROM outbox ORDER BY position")]
    assert topics == ["articurated.refunds", dead_letter_topic("refunds")]
    assert [line["refund_id"] for line in logs if line["log_level"] == "error"] == [str(refund.id)]
    assert address_of(refund) not in str(logs)

    await mailbox.mend()
    await replay(pool, job.id)
    async with running_worker(pool, mail_job):
        await job_in_state(pool, refund, "done", MAIL_JOB)
    assert len(await mailbox.messages_to(address_of(refund))) == 1


async def test_a_permanent_rejection_by_the_mail_server_is_retried_by_the_whole_schedule(
    pool: Pool, mailbox: Mailbox, mail_job: MailJob
) -> None:
    refund = await completed_refund(pool)
    await mailbox.fail("reject", None, address_of(refund))
    async with running_worker(pool, mail_job):
        job = await job_in_state(pool, refund, "dead", MAIL_JOB)
    assert len(job.attempts) == 4
