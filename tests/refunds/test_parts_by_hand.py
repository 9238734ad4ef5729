"""A refund that was paid by several refunds made by hand: each part counts once, also when it fails afterwards."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from common.database.transactions import Pool, transaction
from common.errors import Problem
from refunds.domain.book import Overdrawn
from refunds.domain.refund import Refund
from refunds.payment_gateway.port import GatewayRefund
from refunds.use_cases import booking
from refunds.use_cases.jobs import REVERSED, SETTLED, Part
from refunds.worker.mail_job import refund_mail
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT, job_in_state, open_refund
from support.payments.fake_gateway import FakePaymentGateway
from support.payments.parts import (
    WHOLE,
    a_part,
    events_of,
    operators_refund,
    paid_by_an_operator,
    settled,
    told_amounts,
)
from support.payments.provider_events import FAILED, applied, balances, excess, made, running, state_of


async def paid_in_parts(pool: Pool) -> tuple[Refund, GatewayRefund, GatewayRefund]:
    """A refund of 100, paid by hand with 40 and then 60, whose id it has."""
    refund = await open_refund(pool, amount=WHOLE)
    first, last = a_part(refund, "a", 40), a_part(refund, "b", 60)
    await applied(pool, first, last)
    async with running(pool, RefundJob(FakePaymentGateway())):
        await job_in_state(pool, refund, "done")
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_b")
    return refund, first, last


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


async def held_by_a_part(pool: Pool) -> tuple[Refund, GatewayRefund]:
    """A refund of 100, of which 40 were refunded by hand."""
    refund = await open_refund(pool, amount=WHOLE)
    part = a_part(refund, "a", 40)
    await applied(pool, part)
    assert (await state_of(pool, refund))[0] == "HELD"
    return refund, part


async def test_the_rest_that_an_operator_paid_is_booked_when_the_refund_is_settled_with_the_id_of_a_part(
    pool: Pool,
) -> None:
    refund, _ = await held_by_a_part(pool)
    await settled(pool, refund, "re_a")
    assert await state_of(pool, refund) == ("SUCCEEDED", "re_a")
    assert await balances(pool, refund) == {"paid_elsewhere": 40, "settled": 60}
    assert await told_amounts(pool, refund, SETTLED) == [None]
    another = await operators_refund(pool, refund, 60)
    async with transaction(pool) as connection:
        with pytest.raises(Overdrawn):
            await booking.reserve_refund(connection, another, EVENT)


async def test_what_operators_have_refunded_is_not_booked_or_told_again_by_a_settlement(pool: Pool) -> None:
    refund, _ = await held_by_a_part(pool)
    await paid_by_an_operator(pool, refund, 20, FakePaymentGateway())
    await settled(pool, refund, "transfer 7")
    assert await balances(pool, refund) == {"paid_elsewhere": 40, "paid_back": 20, "settled": 40}
    assert await told_amounts(pool, refund, SETTLED) == ["80.00"]


async def test_a_refund_is_not_settled_while_money_is_in_flight_that_may_still_come_back(pool: Pool) -> None:
    refund, _ = await held_by_a_part(pool)
    another = await operators_refund(pool, refund, 20)
    async with transaction(pool) as connection:
        await booking.reserve_refund(connection, another, EVENT)
    with pytest.raises(Problem, match=r"60\.00 EUR cannot be refunded: 40\.00 EUR"):
        await settled(pool, refund, "re_a")
    assert (await state_of(pool, refund))[0] == "HELD"


async def test_a_part_that_fails_after_the_settlement_is_settled_once_more(pool: Pool) -> None:
    refund, part = await held_by_a_part(pool)
    await settled(pool, refund, "re_a")
    await applied(pool, replace(part, status=FAILED))
    assert (await state_of(pool, refund))[0] == "REVERSED"
    assert await balances(pool, refund) == {"settled": 60, "refundable": 40}
    await settled(pool, refund, "transfer 8")
    assert await state_of(pool, refund) == ("SUCCEEDED", "transfer 8")
    assert await balances(pool, refund) == {"settled": WHOLE}
    assert await told_amounts(pool, refund, SETTLED) == [None, "40.00"]


async def test_the_refund_of_an_operator_is_settled_by_the_refund_with_its_reference_and_the_rest(pool: Pool) -> None:
    payment = await open_refund(pool, amount=WHOLE)
    await pool.execute("UPDATE jobs SET state = 'discarded'")
    refund = await operators_refund(pool, payment, 60)
    other = a_part(refund, "other", 10)
    await applied(pool, other, a_part(refund, "c", 5))
    await pool.execute("UPDATE refunds SET status = 'DECLINED' WHERE id = $1", refund.id)
    await settled(pool, refund, "re_other")
    assert await balances(pool, refund) == {"paid_elsewhere": 15, "settled": 50, "refundable": 35}
