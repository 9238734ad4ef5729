"""Refunds that operators request: of any payment of the book, in parts, and never more than is left."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from common.access.auth import Role
from common.database.transactions import transaction
from common.jobs import queue
from refunds.app import SERVICE
from refunds.domain.book import Capture, EntryKind, Overdrawn
from refunds.domain.refund import Refund
from refunds.domain.request import Cause
from refunds.use_cases import booking
from refunds.use_cases.jobs import REFUND_JOB
from refunds.use_cases.opening import open_refunds
from refunds.use_cases.trial_balance import get_trial_balance
from refunds.worker.refund_job import RefundJob
from support.example.ada import EMAIL, NAME, ORDER_NUMBER
from support.example.refunds import EVENT, a_refund, running_worker
from support.gateway.application import Gateway, exact_json, serve
from support.payments.fake_gateway import FakePaymentGateway
from support.postgres.audit_trail import history
from support.postgres.book import balances_of
from support.postgres.databases import Database
from support.waiting import eventually


@pytest_asyncio.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, database) as running:
        yield running


async def a_payment(gateway: Gateway, kind: EntryKind = EntryKind.MISMATCHED_PAYMENT, currency: str = "EUR") -> UUID:
    """A payment `pi_1` of 100; returns the id of its order."""
    capture = Capture(uuid4(), kind, "pi_1", Decimal(100), currency, ORDER_NUMBER, EMAIL, NAME)
    async with transaction(gateway.pool) as connection:
        await booking.record_captures(connection, [(capture, EVENT)])
    return capture.order_id


def a_request(order_id: UUID, amount: float | int, **changes: Any) -> dict[str, Any]:
    body = {"order_id": str(order_id), "payment_reference": "pi_1", "amount": amount, "reason": "Paid too much."}
    return {**body, **changes}


async def test_an_operator_refunds_a_payment_in_parts_until_nothing_is_left(gateway: Gateway) -> None:
    order_id = await a_payment(gateway)
    first = await gateway.post("/refunds", a_request(order_id, 60.5), key=Role.OPS)
    assert first.status_code == 201, first.text
    refund = exact_json(first)
    assert (refund["cause"], refund["amount"], refund["order_number"]) == ("OPERATOR", Decimal("60.5"), ORDER_NUMBER)
    assert first.headers["Location"] == f"/api/v1/refunds/{refund['id']}"

    refused = await gateway.post("/refunds", a_request(order_id, 39.51), key=Role.OPS)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "REFUND_NOT_ALLOWED")
    assert refused.json()["error"]["details"] == {"refundable": 39.5, "currency": "EUR"}
    assert (await gateway.post("/refunds", a_request(order_id, 39.5), key=Role.OPS)).status_code == 201
    assert (await gateway.post("/refunds", a_request(order_id, 0.01), key=Role.OPS)).status_code == 409

    assert await gateway.pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'refund'") == 2
    assert await gateway.pool.fetchval("SELECT in_flight FROM book_payments") == 100
    emails = {row["customer_email"] for row in await gateway.pool.fetch("SELECT customer_email FROM refunds")}
    assert emails == {EMAIL}


async def test_the_request_is_audited_with_its_reason(gateway: Gateway) -> None:
    order_id = await a_payment(gateway)
    refund = (await gateway.post("/refunds", a_request(order_id, 1), key=Role.OPS)).json()
    async with gateway.pool.acquire() as connection:
        (entry,) = await history(connection, "REFUND", UUID(refund["id"]))
    assert (entry["actor_type"], entry["trigger"], entry["outcome"]) == ("USER", "API_CALL", "ACCEPTED")
    assert "Paid too much." in entry["details"]


async def test_a_repeated_request_makes_no_second_refund(gateway: Gateway) -> None:
    order_id = await a_payment(gateway)
    headers = {"Idempotency-Key": "once"}
    answers = [await gateway.call("POST", "/refunds", a_request(order_id, 60), headers=headers) for _ in range(2)]
    assert [each.status_code for each in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert await gateway.pool.fetchval("SELECT in_flight FROM book_payments") == 60


async def test_of_concurrent_requests_only_those_that_fit_are_accepted(gateway: Gateway) -> None:
    order_id = await a_payment(gateway)
    requests = (gateway.post("/refunds", a_request(order_id, 30), key=Role.OPS) for _ in range(8))
    statuses = sorted([each.status_code for each in await asyncio.gather(*requests)])
    assert statuses == [201] * 3 + [409] * 5
    assert await gateway.pool.fetchval("SELECT refundable FROM book_payments") == 10


async def test_after_a_refund_of_a_part_the_automatic_one_of_the_whole_is_overdrawn_and_the_reverse(
    gateway: Gateway,
) -> None:
    automatic = a_refund(amount=Decimal(100), payment_reference="pi_1")
    async with transaction(gateway.pool) as connection:
        await open_refunds(connection, [(automatic.request, EVENT)])
        await booking.reserve_refund(connection, automatic, EVENT)
    refused = await gateway.post("/refunds", a_request(automatic.request.order_id, 1), key=Role.OPS)
    assert refused.json()["error"]["details"] == {"refundable": 0, "currency": "EUR"}

    async with transaction(gateway.pool) as connection:
        await booking.release_refund(connection, automatic, EVENT)
    assert (await gateway.post("/refunds", a_request(automatic.request.order_id, 1), key=Role.OPS)).status_code == 201
    async with transaction(gateway.pool) as connection:
        with pytest.raises(Overdrawn):
            await booking.reserve_refund(connection, automatic, EVENT)
        assert await balances_of(connection, automatic) == {"captured": 100, "in_flight": 1, "refundable": 99}


async def test_a_refund_of_a_version_without_a_book_is_booked_first(gateway: Gateway) -> None:
    old = a_refund(amount=Decimal(100), payment_reference="pi_1")
    async with transaction(gateway.pool) as connection:
        await open_refunds(connection, [(old.request, EVENT)])
        await connection.execute(
            "UPDATE refunds SET status = 'SUCCEEDED', transaction_id = 're_old', completed_at = now()"
        )
    refused = await gateway.post("/refunds", a_request(old.request.order_id, 1), key=Role.OPS)
    assert refused.json()["error"]["details"] == {"refundable": 0, "currency": "EUR"}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"payment_reference": "pi_2"}, 404),
        ({"order_id": str(uuid4())}, 404),
        ({"amount": 0}, 422),
        ({"amount": -1}, 422),
        ({"amount": "1"}, 422),
        ({"amount": 1.001}, 422),
        ({"reason": " "}, 422),
        ({"currency": "USD"}, 422),
    ],
)
async def test_an_invalid_request_opens_nothing(gateway: Gateway, changes: dict[str, Any], status: int) -> None:
    order_id = await a_payment(gateway)
    refused = await gateway.post("/refunds", {**a_request(order_id, 1), **changes}, key=Role.OPS)
    assert refused.status_code == status, refused.text
    assert await gateway.pool.fetchval("SELECT count(*) FROM refunds") == 0


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPS])
async def test_only_operators_request_refunds(gateway: Gateway, role: Role) -> None:
    order_id = await a_payment(gateway)
    assert (await gateway.post("/refunds", a_request(order_id, 1), key=role)).status_code == 403


async def test_a_payment_may_have_several_refunds_by_operators_but_one_automatic_one(gateway: Gateway) -> None:
    refund = a_refund()
    other = a_refund(
        cause=Cause.SURPLUS_PAYMENT,
        return_id=None,
        business_key="another",
        order_id=refund.request.order_id,
        payment_reference=refund.request.payment_reference,
    )
    async with transaction(gateway.pool) as connection:
        assert len(await open_refunds(connection, [(refund.request, EVENT), (other.request, EVENT)])) == 1


async def test_operators_racing_with_the_automatic_refund_and_its_replays_never_refund_more_than_was_captured(
    gateway: Gateway,
) -> None:
    payments = FakePaymentGateway()
    ends: Counter[int] = Counter()
    async with running_worker(gateway.pool, RefundJob(payments)):
        for _ in range(10):
            automatic = a_refund(amount=Decimal(100))
            order_id, reference = automatic.request.order_id, automatic.request.payment_reference
            async with transaction(gateway.pool) as connection:
                await booking.record_requested(connection, [(automatic.request, EVENT)])
            part = a_request(order_id, 40, payment_reference=reference)
            answers = await asyncio.gather(
                _open(gateway, automatic), *(gateway.post("/refunds", part, key=Role.OPS) for _ in range(4))
            )
            ends += Counter(each.status_code for each in answers if each is not None)
            await eventually(partial(_has_ended, gateway, order_id))
            async with transaction(gateway.pool) as connection:
                await queue.replay_dead(connection, REFUND_JOB, automatic.reference)
            await eventually(partial(_has_ended, gateway, order_id))

            made = sum(each.amount for each in await payments.refunds(reference))
            async with gateway.pool.acquire() as connection:
                balances = await balances_of(connection, automatic)
                assert (await get_trial_balance(connection)).is_zero
            assert made in {80, 100}
            assert balances["paid_back"] == made
            assert "in_flight" not in balances
    assert ends.keys() == {201, 409}


async def _open(gateway: Gateway, refund: Refund) -> None:
    async with transaction(gateway.pool) as connection:
        await open_refunds(connection, [(refund.request, EVENT)])


async def _has_ended(gateway: Gateway, order_id: UUID) -> bool:
    """Whether each refund of the order is made, or its job is dead."""
    ended: bool = await gateway.pool.fetchval(
        "SELECT bool_and(jobs.state IN ('done', 'dead')) FROM refunds JOIN jobs USING (business_key)"
        " WHERE jobs.kind = 'refund' AND order_id = $1",
        order_id,
    )
    return ended
