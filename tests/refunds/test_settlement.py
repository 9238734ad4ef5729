"""Settlement by hand over HTTP: a refund that was paid in another way is not paid by the provider."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from common.access.auth import Role
from common.database.transactions import transaction
from refunds.app import SERVICE
from refunds.domain.refund import Refund
from refunds.payment_gateway.port import GatewayRefund, GatewayRefundStatus
from refunds.repository import provider
from refunds.use_cases import booking
from refunds.use_cases.jobs import FAILED, MAIL_JOB, SETTLED
from refunds.worker.refund_job import RefundJob
from support.example.refunds import EVENT, job_in_state, open_refund, running_worker
from support.gateway.application import Gateway, exact_json, serve
from support.payments.fake_gateway import FakePaymentGateway
from support.postgres.audit_and_events import audit_and_events
from support.postgres.databases import Database

BODY = {"reference": "transfer 2026-11-30/7", "note": "The card was closed; paid by bank transfer."}


@pytest_asyncio.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, database) as running:
        yield running


async def settle(gateway: Gateway, refund: Refund, **changes: Any) -> Any:
    return await gateway.post(f"/refunds/{refund.id}/settlement", BODY | changes, key=Role.OPS)


async def test_a_declined_refund_is_settled_and_its_dead_job_ends_without_a_call(gateway: Gateway) -> None:
    refund, payments = await open_refund(gateway.pool), FakePaymentGateway()
    await payments.fail("decline")
    async with running_worker(gateway.pool, RefundJob(payments)):
        await job_in_state(gateway.pool, refund, "dead")
        response = await settle(gateway, refund)
        await job_in_state(gateway.pool, refund, "done")

    body = exact_json(response)
    assert (response.status_code, body["status"], body["transaction_id"], body["settled_by_hand"]) == (
        200,
        "SUCCEEDED",
        BODY["reference"],
        True,
    )
    assert await payments.refunds(refund.request.payment_reference) == []
    stored_rows = await audit_and_events(gateway.pool, "REFUND", str(refund.id))
    assert stored_rows.transitions[-1] == ("DECLINED", "SUCCEEDED", "ACCEPTED")
    assert [name for name, _ in stored_rows.events] == ["refund.failed", "refund.succeeded"]
    mails = await gateway.pool.fetch("SELECT payload ->> 'outcome' AS outcome FROM jobs WHERE kind = $1", MAIL_JOB)
    assert sorted(mail["outcome"] for mail in mails) == [FAILED, SETTLED]
    settled = await gateway.pool.fetchval(
        "SELECT settled FROM book_payments WHERE order_id = $1", refund.request.order_id
    )
    assert settled == refund.request.amount


async def test_a_refund_that_is_paid_or_may_be_is_not_settled(gateway: Gateway) -> None:
    paid = await open_refund(gateway.pool)
    async with running_worker(gateway.pool, RefundJob(FakePaymentGateway())):
        await job_in_state(gateway.pool, paid, "done")
    called = await open_refund(gateway.pool)
    await gateway.pool.execute("UPDATE refunds SET status = 'UNKNOWN', attempts = 1 WHERE id = $1", called.id)
    for refund in (paid, called):
        response = await settle(gateway, refund)
        assert (response.status_code, response.json()["error"]["code"]) == (409, "INVALID_STATE_TRANSITION")


async def test_one_reference_settles_one_refund(gateway: Gateway) -> None:
    first, second = await open_refund(gateway.pool), await open_refund(gateway.pool)
    assert (await settle(gateway, first)).status_code == 200
    response = await settle(gateway, second)
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await settle(gateway, second, reference="transfer 8")).status_code == 200


async def test_one_reference_given_for_two_refunds_at_once_settles_one(gateway: Gateway) -> None:
    refunds = [await open_refund(gateway.pool) for _ in range(4)]
    responses = await asyncio.gather(*(settle(gateway, each) for each in refunds))
    assert sorted(each.status_code for each in responses) == [200, 409, 409, 409]


async def test_a_refund_made_by_hand_of_another_payment_settles_nothing(gateway: Gateway) -> None:
    refund, other = await open_refund(gateway.pool), await open_refund(gateway.pool)
    by_hand = made_by_hand(other)
    async with transaction(gateway.pool) as connection:
        await provider.merge_refund(connection, by_hand)
        await booking.book_foreign_refund(connection, by_hand, EVENT)
    response = await settle(gateway, refund, reference="re_by_hand")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONFLICT")
    assert (await settle(gateway, other, reference="re_by_hand")).status_code == 200


async def test_a_refund_made_by_hand_that_has_failed_settles_nothing(gateway: Gateway) -> None:
    refund = await open_refund(gateway.pool)
    async with transaction(gateway.pool) as connection:
        await provider.merge_refund(connection, made_by_hand(refund, GatewayRefundStatus.FAILED))
    response = await settle(gateway, refund, reference="re_by_hand")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONFLICT")
    assert "has failed at the provider" in response.json()["error"]["message"]


def made_by_hand(refund: Refund, status: GatewayRefundStatus = GatewayRefundStatus.SUCCEEDED) -> GatewayRefund:
    return GatewayRefund(
        id="re_by_hand",
        status=status,
        reference=None,
        payment_reference=refund.request.payment_reference,
        amount=Decimal(5),
        currency="EUR",
        reason=None,
        created_at=datetime.now(UTC),
    )


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPS])
async def test_only_operators_settle_refunds(gateway: Gateway, role: Role) -> None:
    refund = await open_refund(gateway.pool)
    response = await gateway.post(f"/refunds/{refund.id}/settlement", BODY, key=role)
    assert response.status_code == 403
