"""A refund that was paid by several refunds made by hand: each part counts once, also when it fails afterwards."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from common.database.transactions import Pool, transaction
from refunds.domain.refund import Refund
from refunds.domain.request import Cause, operator_key
from refunds.payment_gateway.port import GatewayRefund
from refunds.use_cases import settlement
from refunds.use_cases.jobs import MAIL_JOB, REVERSED, Part
from refunds.worker.mail_job import refund_mail
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT, job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.provider_events import FAILED, applied, at_provider, balances, excess, made, running, state_of

WHOLE = Decimal(100)


def a_part(refund: Refund, name: str, amount: int) -> GatewayRefund:
    return at_provider(refund, id=f"re_{name}", reference=None, amount=Decimal(amount))


async def paid_in_parts(pool: Pool) -> tuple[Refund, GatewayRefund, GatewayRefund]:
    """A refund of 100, paid by hand with 40 and then 60, whose id it has."""
    refund = await open_refund(pool, amount=WHOLE)
    first, last = a_part(refund, "a", 40), a_part(refund, "b", 60)
    await applied(pool, first, last)
    async with running(pool, RefundJob(FakePaymentGateway())):
        await job_in_state(pool, refund, "done")
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_b")
    return refund, first, last


async def paid_by_an_operator(pool: Pool, payment: Refund, amount: int, gateway: FakePaymentGateway) -> Refund:
    """A refund of a part that an operator has requested, and that the provider has made."""
    same = {"order_id": payment.request.order_id, "payment_reference": payment.request.payment_reference}
    key = operator_key(uuid4())
    return await made(
        pool, gateway, **same, cause=Cause.OPERATOR, return_id=None, business_key=key, amount=Decimal(amount)
    )


async def settled(pool: Pool, refund: Refund, reference: str) -> None:
    async with transaction(pool) as connection:
        await settlement.settle_refund(connection, refund.id, reference, "paid in another way", EVENT)


async def told_amounts(pool: Pool, refund: Refund, outcome: str) -> list[str | None]:
    """Of the e-mails with this outcome, oldest first; None for the whole refund."""
    query = (
        "SELECT payload ->> 'amount' AS amount FROM jobs"
        " WHERE kind = $1 AND payload ->> 'refund_id' = $2 AND payload ->> 'outcome' = $3 ORDER BY created_at"
    )
    return [row["amount"] for row in await pool.fetch(query, MAIL_JOB, str(refund.id), outcome)]


async def events_of(pool: Pool, refund: Refund) -> list[str]:
    query = "SELECT type FROM outbox WHERE aggregateid = $1 ORDER BY position"
    return [row["type"] for row in await pool.fetch(query, str(refund.id))]


@pytest.mark.parametrize("which", ["first", "last"])
async def test_a_part_that_fails_after_all_is_owed_again_and_the_other_part_stays_paid(pool: Pool, which: str) -> None:
    refund, first, last = await paid_in_parts(pool)
    failing, other = (first, last) if which == "first" else (last, first)
    for _ in range(2):
        await applied(pool, replace(failing, status=FAILED))
    assert (await state_of(pool, refund))[0] == "REVERSED"
    assert await balances(pool, refund) == {"paid_elsewhere": other.amount, "refundable": failing.amount}
    assert await events_of(pool, refund) == ["refund.succeeded", "refund.reversed"]
    assert await told_amounts(pool, refund, REVERSED) == [f"{failing.amount:.2f}"]


async def test_when_all_parts_fail_one_after_the_other_the_whole_is_owed_again_and_the_customer_is_told_of_each(
    pool: Pool,
) -> None:
    refund, first, last = await paid_in_parts(pool)
    await applied(pool, replace(first, status=FAILED), replace(last, status=FAILED))
    assert (await state_of(pool, refund))[0] == "REVERSED"
    assert await balances(pool, refund) == {"refundable": WHOLE}
    assert await told_amounts(pool, refund, REVERSED) == ["40.00", "60.00"]


async def test_a_refund_made_by_hand_that_was_too_much_and_fails_does_not_reverse_ours(pool: Pool) -> None:
    refund = await made(pool, FakePaymentGateway(), amount=WHOLE)
    surplus = a_part(refund, "surplus", 40)
    await applied(pool, surplus)
    assert await excess(pool) == 40
    await applied(pool, replace(surplus, status=FAILED))
    assert (await state_of(pool, refund))[0] == "SUCCEEDED"
    assert await balances(pool, refund) == {"paid_back": WHOLE}


def mail_of(refund: Refund, **changes: Any) -> str:
    mail = refund_mail(replace(refund, transaction_id="re_b"), REVERSED, **changes)
    return " ".join(f"{mail.subject}: {mail.text}".split())


async def test_the_mail_about_a_part_that_was_taken_back_names_the_part(pool: Pool) -> None:
    refund = await open_refund(pool, amount=WHOLE)
    text = mail_of(refund, part=Part(Decimal("40.00"), "re_a"))
    assert text.startswith("Your refund of 40.00 EUR for order ORD-2026-000042 was returned to us")
    assert "We told you that we had refunded 100.00 EUR" in text
    assert "Your bank has returned 40.00 EUR of it to us, so this money has not reached you." in text
    assert "Your bank has returned this refund to us, so the money has not reached you." in mail_of(refund)


async def test_a_part_fails_after_an_operator_has_refunded_the_rest_and_settled_with_the_parts_id(pool: Pool) -> None:
    refund, gateway = await open_refund(pool, amount=WHOLE), FakePaymentGateway()
    part = a_part(refund, "a", 40)
    await applied(pool, part)
    await paid_by_an_operator(pool, refund, 60, gateway)
    await settled(pool, refund, "re_a")
    await applied(pool, replace(part, status=FAILED))
    assert (await state_of(pool, refund))[0] == "REVERSED"
    assert await balances(pool, refund) == {"paid_back": 60, "refundable": 40}
