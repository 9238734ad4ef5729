"""Refunds over HTTP, for staff."""

from collections.abc import AsyncIterator
from decimal import Decimal
from uuid import uuid4

import pytest
import pytest_asyncio
from common.access.auth import Role
from refunds.app import SERVICE
from refunds.domain.refund import Refund, RefundStatus
from refunds.payment_gateway.port import RefundCall
from refunds.worker.refund_job import RefundJob
from support.example.ada import TOTAL
from support.example.refunds import job_in_state, open_refund, running_worker
from support.gateway.application import Gateway, exact_json, serve
from support.payments.fake_gateway import FakePaymentGateway
from support.postgres.databases import Database


@pytest_asyncio.fixture
async def gateway(database: Database) -> AsyncIterator[Gateway]:
    async with serve(SERVICE, database) as running:
        yield running


async def test_a_refund_is_shown_with_its_attempts_and_their_errors(gateway: Gateway) -> None:
    refund, payments = await open_refund(gateway.pool), FakePaymentGateway()
    await payments.fail("fail")
    async with running_worker(gateway.pool, RefundJob(payments)):
        await job_in_state(gateway.pool, refund, "done")

    response_body = exact_json(await gateway.get(f"/refunds/{refund.id}", key=Role.WAREHOUSE))

    assert response_body["amount"] == Decimal(TOTAL)
    assert (response_body["id"], response_body["cause"], response_body["status"]) == (
        str(refund.id),
        "RETURN_COMPLETED",
        "SUCCEEDED",
    )
    assert (response_body["order_id"], response_body["return_id"]) == (
        str(refund.request.order_id),
        str(refund.request.return_id),
    )
    assert (response_body["transaction_id"], response_body["error"]) == (await transaction_id(payments, refund), None)
    assert [(each["number"], each["outcome"], each["error"]) for each in response_body["attempts"]] == [
        (1, "handed_back", "Postponed: GatewayError: 500: an unknown error occurred"),
        (
            2,
            "failed",
            "GatewayFailure: GatewayError: 500: an unknown error occurred; a look-up shows that nothing was made",
        ),
        (3, "succeeded", None),
    ]
    assert "customer_email" not in response_body


async def transaction_id(payments: FakePaymentGateway, refund: Refund) -> str | None:
    found = await payments.find(RefundCall.of(refund))
    return None if found is None else found.id


async def test_refunds_are_listed_newest_first_and_page_by_page(gateway: Gateway) -> None:
    new_refunds = [await open_refund(gateway.pool) for _ in range(5)]
    first = exact_json(await gateway.get("/refunds?limit=3"))
    second = exact_json(await gateway.get("/refunds?limit=3&offset=3"))

    assert [each["id"] for each in first["data"] + second["data"]] == [str(each.id) for each in reversed(new_refunds)]
    assert first["pagination"].pop("next_cursor")
    assert first["pagination"] == {"limit": 3, "offset": 0, "total": 5, "has_more": True}
    assert second["pagination"] == {"limit": 3, "offset": 3, "total": 5, "has_more": False, "next_cursor": None}
    assert first["data"][0]["attempts"] == []


async def test_refunds_are_filtered_by_order_return_and_status(gateway: Gateway) -> None:
    refund, payments = await open_refund(gateway.pool), FakePaymentGateway()
    await payments.fail("decline")
    async with running_worker(gateway.pool, RefundJob(payments)):
        await job_in_state(gateway.pool, refund, "dead")
    await open_refund(gateway.pool)

    for query in (
        f"order_id={refund.request.order_id}",
        f"return_id={refund.request.return_id}",
        "status=DECLINED",
        f"order_id={refund.request.order_id}&status=DECLINED",
    ):
        page = exact_json(await gateway.get(f"/refunds?{query}"))
        assert [each["id"] for each in page["data"]] == [str(refund.id)], query
        assert page["pagination"]["total"] == 1
    nothing = exact_json(await gateway.get(f"/refunds?order_id={refund.request.order_id}&status=SUCCEEDED"))
    assert (nothing["data"], nothing["pagination"]["total"]) == ([], 0)


@pytest.mark.parametrize("role", Role)
async def test_all_staff_may_read_refunds_and_clients_may_not(gateway: Gateway, role: Role) -> None:
    refund = await open_refund(gateway.pool)
    expected = 403 if role is Role.CLIENT else 200
    for path in ("/refunds", f"/refunds/{refund.id}"):
        assert (await gateway.get(path, key=role)).status_code == expected


async def test_missing_refunds_and_invalid_queries_have_the_error_format_of_the_contract(gateway: Gateway) -> None:
    missing = await gateway.get(f"/refunds/{uuid4()}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "NOT_FOUND")
    for query in ("status=LOST", "limit=0", "order_id=7", "offset=-1"):
        invalid = await gateway.get(f"/refunds?{query}")
        assert (invalid.status_code, invalid.json()["error"]["code"]) == (422, "VALIDATION_ERROR"), query


async def test_the_metrics_count_refunds_by_status(gateway: Gateway) -> None:
    await open_refund(gateway.pool)
    counts = (await gateway.get("/metrics")).json()["refunds"]
    assert counts == {"total": 1, "by_status": dict.fromkeys(RefundStatus, 0) | {"READY": 1}}


async def test_an_operator_replays_a_dead_refund(gateway: Gateway) -> None:
    refund, payments = await open_refund(gateway.pool), FakePaymentGateway()
    await payments.fail("decline")
    async with running_worker(gateway.pool, RefundJob(payments)):
        job = await job_in_state(gateway.pool, refund, "dead")
        response = await gateway.post(f"/ops/jobs/{job.id}/replay", {})
        assert response.is_success, response.text
        await job_in_state(gateway.pool, refund, "done")
    assert exact_json(await gateway.get(f"/refunds/{refund.id}"))["status"] == "SUCCEEDED"
    assert len(await payments.refunds(refund.request.payment_reference)) == 1
