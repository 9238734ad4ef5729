"""The consumer of refunds: one refund and one job per cause, also with repeats and poison records."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from common.database.transactions import Pool, open_pool
from common.messaging.incoming.inbox import Inbox
from common.paging import Paging
from refunds.consumer import EVENT_HANDLERS
from refunds.repository import reading
from refunds.repository.reading import RefundFilter
from support.events.traceparent import TRACEPARENT
from support.example.ada import EMAIL, NAME, TOTAL
from support.example.refund_events import (
    KafkaRecord,
    kafka_record,
    order_cancelled,
    order_paid_late,
    order_paid_twice,
    payment_identified,
    return_completed,
)
from support.postgres.audit_trail import first_broken, history
from support.postgres.databases import Database


@pytest.fixture
def inbox(pool: Pool) -> Inbox:
    return Inbox(pool, "refunds", EVENT_HANDLERS)


async def refunds(pool: Pool) -> list[dict[str, Any]]:
    return [dict(row) for row in await pool.fetch("SELECT * FROM refunds ORDER BY business_key")]


async def counts(pool: Pool) -> tuple[int, int, int, int]:
    """Numbers of refunds, jobs, audit rows and poison records."""
    tables = ("refunds", "jobs", "audit", "poison")
    numbers = [await pool.fetchval(f"SELECT count(*) FROM {table}") for table in tables]  # noqa: S608
    return numbers[0], numbers[1], numbers[2], numbers[3]


async def test_a_completed_return_opens_a_refund_with_its_job_and_its_audit_row(inbox: Inbox, pool: Pool) -> None:
    completed = return_completed()
    await inbox.process([kafka_record("return.completed", completed, event_id="event-1")])

    (refund,) = await refunds(pool)
    assert refund["business_key"] == f"return:{completed['return_id']}"
    assert (refund["cause"], refund["status"]) == ("RETURN_COMPLETED", "READY")
    assert (refund["amount"], refund["currency"]) == (Decimal("79.0600"), "EUR")
    assert refund["payment_reference"] == completed["payment_reference"]
    assert (refund["customer_email"], refund["customer_name"]) == (EMAIL, NAME)

    (job,) = await pool.fetch("SELECT * FROM jobs")
    assert (job["kind"], job["business_key"], job["state"]) == ("refund", refund["business_key"], "ready")
    assert job["causation_id"] == "event-1"
    assert job["traceparent"][:36] == TRACEPARENT[:36]

    async with pool.acquire() as connection:
        rows = await history(connection, "REFUND", refund["id"])
    assert first_broken(rows) is None
    (entry,) = rows
    assert (entry["previous_state"], entry["new_state"], entry["trigger"]) == (None, "READY", "EVENT")
    assert entry["actor_id"] is None
    details = json.loads(entry["details"])
    assert (details["actor_name"], details["event_id"]) == ("return.completed", "event-1")


async def test_a_cancelled_paid_order_is_refunded_the_captured_amount(inbox: Inbox, pool: Pool) -> None:
    cancelled = order_cancelled(total_amount="9999.00", captured_amount="1234.50")
    await inbox.process([kafka_record("order.cancelled", cancelled)])

    (refund,) = await refunds(pool)
    assert refund["business_key"] == f"cancellation:{cancelled['order_id']}"
    assert (refund["cause"], refund["amount"]) == ("ORDER_CANCELLED", Decimal("1234.50"))
    assert (refund["order_id"], refund["return_id"]) == (UUID(cancelled["order_id"]), None)


async def test_a_cancelled_unpaid_order_is_not_refunded(inbox: Inbox, pool: Pool) -> None:
    await inbox.process(
        [kafka_record("order.cancelled", order_cancelled(captured_amount=None, payment_reference=None))]
    )
    assert await counts(pool) == (0, 0, 0, 0)


async def test_each_late_payment_of_an_order_is_refunded(inbox: Inbox, pool: Pool) -> None:
    first = order_paid_late()
    second = {**first, "late_payment": {"reference": "ch_again", "amount": "0.01"}}
    await inbox.process([kafka_record("order.late_payment", first), kafka_record("order.late_payment", second)])

    refund_of = {refund["payment_reference"]: refund for refund in await refunds(pool)}
    assert {reference: refund["amount"] for reference, refund in refund_of.items()} == {
        first["late_payment"]["reference"]: Decimal(TOTAL),
        "ch_again": Decimal("0.01"),
    }
    assert {refund["cause"] for refund in refund_of.values()} == {"LATE_PAYMENT"}
    assert refund_of["ch_again"]["business_key"] == f"late-payment:{first['order_id']}:ch_again"


async def test_each_surplus_payment_of_an_order_is_refunded(inbox: Inbox, pool: Pool) -> None:
    first = order_paid_twice()
    second = {**first, "surplus_payment": {"reference": "ch_again", "amount": "0.01"}}
    await inbox.process([kafka_record("order.surplus_payment", first), kafka_record("order.surplus_payment", second)])

    refund_of = {refund["payment_reference"]: refund for refund in await refunds(pool)}
    assert {reference: refund["amount"] for reference, refund in refund_of.items()} == {
        first["surplus_payment"]["reference"]: Decimal(TOTAL),
        "ch_again": Decimal("0.01"),
    }
    assert {refund["cause"] for refund in refund_of.values()} == {"SURPLUS_PAYMENT"}
    assert refund_of["ch_again"]["business_key"] == f"surplus-payment:{first['order_id']}:ch_again"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
async def test_a_surplus_payment_and_the_captured_one_are_each_refunded_once_in_any_sequence(
    inbox: Inbox, pool: Pool, order: tuple[int, ...]
) -> None:
    twice = order_paid_twice()
    cancelled = order_cancelled(order_id=twice["order_id"], payment_reference=twice["payment_reference"])
    late = order_paid_late(order_id=twice["order_id"])
    payment_events = [("order.surplus_payment", twice), ("order.cancelled", cancelled), ("order.late_payment", late)]
    for again in range(2):
        for number in order:
            event_type, data = payment_events[number]
            await inbox.process([kafka_record(event_type, data, event_id=f"event-{number}-{again}")])
    assert sorted(refund["cause"] for refund in await refunds(pool)) == [
        "LATE_PAYMENT",
        "ORDER_CANCELLED",
        "SURPLUS_PAYMENT",
    ]


async def test_a_payment_with_several_causes_is_refunded_once(inbox: Inbox, pool: Pool) -> None:
    twice = order_paid_twice()
    same = order_paid_late(order_id=twice["order_id"])
    same["late_payment"] = twice["surplus_payment"]
    await inbox.process([kafka_record("order.surplus_payment", twice)])
    await inbox.process([kafka_record("order.late_payment", same)])
    assert await counts(pool) == (1, 1, 1, 0)


async def test_the_id_of_a_payment_may_arrive_before_and_after_its_refund_and_repeatedly(
    inbox: Inbox, pool: Pool
) -> None:
    return_before, return_after = return_completed(), return_completed()
    for return_data in (return_before, return_after):
        return_data["payment_reference"] = f"order-{return_data['order_id']}"
    batch = [
        kafka_record("return.completed", return_before),
        *(
            kafka_record("order.payment_identified", payment_identified(return_before["order_id"], "pi_1"))
            for _ in range(2)
        ),
        kafka_record("order.payment_identified", payment_identified(return_after["order_id"], "pi_2")),
        kafka_record("return.completed", return_after),
    ]
    for each in batch:
        await inbox.process([each])
    async with pool.acquire() as connection:
        page = await reading.find_page(connection, RefundFilter(), Paging(10))
    assert {refund.identified_reference for refund in page.rows} == {"pi_1", "pi_2"}
    assert await counts(pool) == (2, 2, 2, 0)


async def test_the_same_event_twice_opens_one_refund(inbox: Inbox, pool: Pool) -> None:
    record = kafka_record("return.completed", return_completed())
    await inbox.process([record, replace(record, offset=record.offset + 1000)])
    await inbox.process([replace(record, offset=record.offset + 2000)])
    assert await counts(pool) == (1, 1, 1, 0)


async def test_the_same_return_under_a_new_event_id_opens_no_second_refund(inbox: Inbox, pool: Pool) -> None:
    completed = return_completed()
    await inbox.process([kafka_record("return.completed", completed), kafka_record("return.completed", completed)])
    await pool.execute("DELETE FROM inbox")
    await inbox.process([kafka_record("return.completed", completed)])
    assert await counts(pool) == (1, 1, 1, 0)


async def test_a_repeated_event_creates_no_second_one_after_its_jobs_were_purged(inbox: Inbox, pool: Pool) -> None:
    completed = return_completed()
    await inbox.process([kafka_record("return.completed", completed)])
    await pool.execute("DELETE FROM jobs")
    await inbox.process([kafka_record("return.completed", completed)])
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 0
    assert len(await refunds(pool)) == 1


async def test_fifty_concurrent_duplicates_open_one_refund_per_cause(database: Database) -> None:
    pool = await open_pool(database.dsn, size=20, application_name="test")
    inbox = Inbox(pool, "refunds", EVENT_HANDLERS)
    completed, cancelled = return_completed(), order_cancelled()
    batches = [
        [kafka_record("return.completed", completed), kafka_record("order.cancelled", cancelled)] for _ in range(50)
    ]
    await asyncio.gather(*(inbox.process(batch) for batch in batches))
    assert await counts(pool) == (2, 2, 2, 0)
    await pool.close()


async def test_a_batch_of_all_event_types_is_processed_together(inbox: Inbox, pool: Pool) -> None:
    batch = [kafka_record("return.completed", return_completed()) for _ in range(100)]
    batch += [kafka_record("order.cancelled", order_cancelled()) for _ in range(100)]
    batch += [kafka_record("order.late_payment", order_paid_late()) for _ in range(100)]
    await inbox.process(batch)

    assert Counter(refund["cause"] for refund in await refunds(pool)) == dict.fromkeys(
        ("RETURN_COMPLETED", "ORDER_CANCELLED", "LATE_PAYMENT"), 100
    )
    assert await counts(pool) == (300, 300, 300, 0)


GOOD = return_completed()
BAD: dict[str, Callable[[], KafkaRecord]] = {
    "not JSON": lambda: kafka_record("return.completed", b"{cut"),
    "no value": lambda: replace(kafka_record("return.completed", GOOD), value=None),
    "no headers": lambda: replace(kafka_record("return.completed", GOOD), headers=[]),
    "a field is missing": lambda: kafka_record("return.completed", {"order_id": str(uuid4())}),
    "an amount of zero": lambda: kafka_record("return.completed", return_completed(refund_amount="0")),
    "too many decimals": lambda: kafka_record("return.completed", return_completed(refund_amount="1.005")),
    "no such currency": lambda: kafka_record("return.completed", return_completed(currency="XXX")),
    "paid, without a payment reference": lambda: kafka_record(
        "order.cancelled", order_cancelled(payment_reference=None)
    ),
}


@pytest.mark.parametrize("make_bad", BAD.values(), ids=BAD.keys())
async def test_an_invalid_record_is_stored_as_poison_and_delays_no_others(
    inbox: Inbox, pool: Pool, make_bad: Callable[[], KafkaRecord]
) -> None:
    bad = make_bad()
    await inbox.process(
        [kafka_record("return.completed", return_completed()), bad, kafka_record("order.cancelled", order_cancelled())]
    )
    assert await counts(pool) == (2, 2, 2, 1)
    assert await pool.fetchval("SELECT value FROM poison") == bad.value


async def booked(pool: Pool) -> list[tuple[Any, ...]]:
    """Kind, reference, captured, refundable and currency of each payment of the book."""
    rows = await pool.fetch("SELECT kind, reference, captured, refundable, currency FROM book_payments ORDER BY id")
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("first", ["order.paid", "order.cancelled"])
async def test_a_payment_is_booked_once_by_its_report_or_by_the_request_for_its_refund(
    inbox: Inbox, pool: Pool, first: str
) -> None:
    cancelled = order_cancelled()
    paid = {**cancelled, "status": "PAID", "payment_transaction_id": None}
    records = {"order.paid": paid, "order.cancelled": cancelled}
    for event_type in sorted(records, key=lambda each: each != first):
        await inbox.process([kafka_record(event_type, records[event_type])])
    total = Decimal(TOTAL)
    assert await booked(pool) == [("CAPTURE", cancelled["payment_reference"], total, total, "EUR")]
    assert await pool.fetchval("SELECT actor FROM postings") == first
    assert await pool.fetchval("SELECT count(*) FROM book_disagreements") == 0
    assert await counts(pool) == (1, 1, 1, 0)


async def test_a_payment_of_another_amount_is_booked_and_not_refunded(inbox: Inbox, pool: Pool) -> None:
    data = order_cancelled(status="PENDING_PAYMENT", captured_amount=None, payment_reference=None)
    for payment in ({"reference": "pi_1", "amount": "12.34"}, {"reference": "pi_2", "amount": "5", "currency": "USD"}):
        mismatched = {**data, "mismatched_payment": payment}
        await inbox.process([kafka_record("order.mismatched_payment", mismatched) for _ in range(2)])
    assert await booked(pool) == [
        ("MISMATCHED_PAYMENT", "pi_1", Decimal("12.34"), Decimal("12.34"), "EUR"),
        ("MISMATCHED_PAYMENT", "pi_2", 5, 5, "USD"),
    ]
    assert await counts(pool) == (0, 0, 0, 0)


async def test_the_late_and_the_surplus_payments_of_an_order_are_booked_beside_the_captured_one(
    inbox: Inbox, pool: Pool
) -> None:
    twice = order_paid_twice()
    late = order_paid_late(order_id=twice["order_id"])
    await inbox.process([kafka_record("order.paid", twice)])
    await inbox.process([kafka_record("order.surplus_payment", twice), kafka_record("order.late_payment", late)])
    assert sorted(row[0] for row in await booked(pool)) == ["CAPTURE", "LATE_PAYMENT", "SURPLUS_PAYMENT"]


async def test_a_payment_with_another_amount_than_the_request_for_its_refund_is_a_finding(
    inbox: Inbox, pool: Pool
) -> None:
    cancelled = order_cancelled()
    await inbox.process([kafka_record("order.cancelled", cancelled)])
    await inbox.process([kafka_record("order.paid", {**cancelled, "captured_amount": "79.07"})])
    (row,) = await pool.fetch("SELECT * FROM book_disagreements")
    assert (row["kind"], row["booked"], row["reported"]) == ("CAPTURED_AMOUNT", "79.06 EUR", "79.07 EUR")


@pytest.mark.parametrize("event_type", ["order.created", "order.processing", "order.shipped", "return.requested"])
async def test_other_events_are_ignored(inbox: Inbox, pool: Pool, event_type: str) -> None:
    await inbox.process([kafka_record(event_type, return_completed())])
    assert await counts(pool) == (0, 0, 0, 0)


async def test_a_lost_database_connection_does_not_make_a_record_poison(inbox: Inbox, pool: Pool) -> None:
    await pool.close()
    with pytest.raises(Exception, match="pool is closed"):
        await inbox.process([kafka_record("return.completed", return_completed())])
