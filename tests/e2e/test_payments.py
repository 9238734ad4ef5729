"""Payments of one order, from their reports to the refunds at the payment provider."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from common.database.transactions import transaction
from demo import journeys
from demo.client import Shop
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from refunds.payment_gateway.breaker import Breaker
from refunds.use_cases.jobs import REFUND_JOB
from refunds.worker.refund_job import RefundJob
from support.events.services_without_kafka import ServicesWithoutKafka, services_without_kafka
from support.example.orders import place
from support.jobs.attempts import attempt, claim_jobs
from support.jobs.rows import replay_job
from support.payments.fake_gateway import FakePaymentGateway
from support.postgres.databases import MakeDatabase
from support.state_machines import run_machine

FORWARD = {
    "PAID": {"new_state": "PROCESSING_IN_WAREHOUSE"},
    "PROCESSING_IN_WAREHOUSE": {"new_state": "SHIPPED"},
    "SHIPPED": {"new_state": "DELIVERED"},
}
RETURN_STEPS = (
    ("approve", {"manager_notes": "cracks are visible on the photo"}),
    ("state", {"new_state": "IN_TRANSIT"}),
    ("state", {"new_state": "RECEIVED"}),
    ("state", {"new_state": "COMPLETED"}),
)
FAULTS = st.sampled_from([None, None, "decline", "fail_for_good", "timeout_before_apply", "timeout_after_apply"])
# The number of a payment, or None without an id; and its amount, which may not be reported.
TOTAL, OTHER = 79.06, 12.34
REPORTS = st.sampled_from(
    [(None, None), ("1", None), ("1", TOTAL), ("1", None), ("2", None), ("2", OTHER), ("3", OTHER), ("3", None)]
)
# The commands before an example begins: none, or enough to make rare cases frequent.
BEGINNINGS: tuple[tuple[dict[str, str], ...], ...] = (
    (),
    ({"new_state": "CANCELLED", "reason": "changed her mind"},),
    ({"new_state": "PAID"},),
    ({"new_state": "PAID"}, {"new_state": "CANCELLED", "reason": "changed her mind"}),
    ({"new_state": "PAID"}, *FORWARD.values()),
)
RETRIES = (1, 1)
MOST_ROUNDS_TO_SETTLE = 8


class MoneyOfAnOrder(RuleBasedStateMachine):
    """One order: reports of its payments in any sequence, its cancellation or return, repeated and late events, faults
    of the provider. The provider may or may not accept the reference that is derived from an order."""

    def __init__(self, runner: asyncio.Runner, services: ServicesWithoutKafka) -> None:
        super().__init__()
        self._run = runner.run
        self._services = services
        self._order: dict[str, Any] = {}
        self._was_paid = False
        self._return: dict[str, Any] | None = None
        self._reported: set[str] = set()
        self._return_steps = iter(RETURN_STEPS)

    @initialize(knows_derived_references=st.booleans(), beginning=st.sampled_from(BEGINNINGS))
    def an_order_is_placed(self, knows_derived_references: bool, beginning: tuple[dict[str, str], ...]) -> None:
        self._provider = FakePaymentGateway(knows_derived_references=knows_derived_references)
        self._knows_derived_references = knows_derived_references
        self._handler = RefundJob(self._provider, breaker=Breaker("fake", seconds_open=0))
        self._suffix = uuid4().hex[:8]

        async def begin() -> None:
            await self._services.refunds.execute("DELETE FROM jobs")  # from an example that failed
            self._order = await place(self._services.orders)

        self._run(begin())
        for change in beginning:
            self._order = self._change(change)
        self._was_paid = {"new_state": "PAID"} in beginning

    @rule(reports=st.lists(REPORTS, min_size=1, max_size=3))
    def payments_are_reported_concurrently(self, reports: list[tuple[str | None, float | None]]) -> None:
        async def report_all() -> None:
            await asyncio.gather(*(self._report(number, amount) for number, amount in reports))

        self._run(report_all())

    @precondition(lambda self: self._order["status"] in FORWARD)
    @rule()
    def the_order_continues(self) -> None:
        self._order = self._change(FORWARD[self._order["status"]])

    @precondition(lambda self: self._order["status"] in {"PENDING_PAYMENT", "PAID"})
    @rule()
    def the_order_is_cancelled(self) -> None:
        self._order = self._change({"new_state": "CANCELLED", "reason": "changed her mind"})

    @precondition(lambda self: self._order["status"] == "DELIVERED")
    @rule()
    def its_return_continues(self) -> None:
        self._run(self._continue_return())

    @rule(consumer=st.sampled_from(["refunds", "returns", "orders"]), purged_inbox=st.booleans())
    def a_consumer_consumes_all_events(self, consumer: str, purged_inbox: bool) -> None:
        async def deliver() -> None:
            records = await self._services.events(self._order["id"])
            await self._services.deliver(consumer, records, purged_inbox=purged_inbox)

        self._run(deliver())

    @rule(fault=FAULTS)
    def a_worker_makes_an_attempt(self, fault: str | None) -> None:
        self._run(self._work(fault))

    @invariant()
    def every_payment_is_stored_and_refunded_at_most_once(self) -> None:
        if self._order:
            self._run(self._check())

    def teardown(self) -> None:
        """At the end each payment is the captured one, refunded, or waits for people because of its amount; and the
        order has the same status."""
        if self._order:
            self._run(self._settle())

    def _change(self, change: dict[str, str]) -> dict[str, Any]:
        answer = self._run(self._services.orders.patch(f"/orders/{self._order['id']}/state", change))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def _report(self, number: str | None, amount: float | None) -> None:
        id_field = {} if number is None else {"payment_transaction_id": f"pi_{number}_{self._suffix}"}
        answer = await self._services.orders.patch(
            f"/orders/{self._order['id']}/state", {"new_state": "PAID", "amount": amount, **id_field}
        )
        assert answer.status_code in {200, 409}, answer.text
        self._reported |= set(id_field.values())
        self._order = await self._get_order()
        self._was_paid |= self._order["status"] not in {"PENDING_PAYMENT", "CANCELLED"}

    async def _continue_return(self) -> None:
        gateway = self._services.returns
        if self._return is None:
            await self._services.deliver("returns", await self._services.events(self._order["id"]))
            body = {"order_id": self._order["id"], "reason": "cracked"}
            response = await gateway.post("/returns", body, key="client")
            assert response.status_code == 201, response.text
            self._return = response.json()
        elif step := next(self._return_steps, None):
            route, body = step
            answer = await gateway.patch(f"/returns/{self._return['id']}/{route}", body)
            assert answer.status_code == 200, answer.text
            self._return = answer.json()

    async def _get_order(self) -> dict[str, Any]:
        return dict((await self._services.orders.get(f"/orders/{self._order['id']}")).json())

    async def _check(self) -> None:
        order = await self._get_order()
        assert {payment["reference"] for payment in order["payments"]} - {self._derived} == self._reported
        assert [payment["kind"] for payment in order["payments"]].count("CAPTURED") == (1 if self._was_paid else 0)
        for payment in order["payments"]:
            assert len(await self._refunds_of(order, payment)) <= 1

    async def _settle(self) -> None:
        for _ in range(MOST_ROUNDS_TO_SETTLE):
            records = await self._services.events(self._order["id"])
            for consumer in self._services.consumers:
                await self._services.deliver(consumer, records)
            await self._replay_all()
            await self._work(None)
            is_open = await self._services.refunds.fetchval(
                "SELECT EXISTS (SELECT FROM jobs WHERE kind = 'refund' AND state <> 'done')"
            )
            if not is_open and len(await self._services.events(self._order["id"])) == len(records):
                break
        await self._check()
        assert await self._services.poison_count() == 0
        order = await self._get_order()
        is_returned = self._return is not None and self._return["status"] == "COMPLETED"
        for payment in order["payments"]:
            refunds = await self._refunds_of(order, payment)
            is_unexpected = payment["kind"] in {"LATE", "SURPLUS"}
            is_mismatched = payment["kind"] == "MISMATCHED"
            is_owed = not is_mismatched and (is_unexpected or order["status"] == "CANCELLED" or is_returned)
            impossible = payment["reference"] == self._derived and not self._knows_derived_references
            assert len(refunds) == (is_owed and not impossible), (payment, order["status"])
            assert {refund.amount for refund in refunds} <= {Decimal(str(payment["amount"]))}
            if is_mismatched:
                assert payment["refund_status"] == "NONE"
            elif is_unexpected or order["status"] == "CANCELLED":
                assert payment["refund_status"] == ("FAILED" if impossible else "SUCCEEDED")
            if not impossible and not self._knows_derived_references:
                assert {refund.payment_reference for refund in refunds} <= {payment["reference"]}

    @property
    def _derived(self) -> str:
        return f"order-{self._order['id']}"

    async def _refunds_of(self, order: dict[str, Any], payment: dict[str, Any]) -> list[Any]:
        """The provider's refunds of a payment, by each reference that it may have had."""
        names = {payment["reference"]}
        if payment is next((each for each in order["payments"] if each["kind"] != "MISMATCHED"), None):
            names.add(self._derived)
        return [refund for name in names for refund in await self._provider.refunds(name)]

    async def _replay_all(self) -> None:
        pool = self._services.refunds
        async with transaction(pool) as connection:
            for row in await connection.fetch("SELECT id FROM jobs WHERE state = 'dead'"):
                await replay_job(connection, row["id"])

    async def _work(self, fault: str | None) -> None:
        """Make one attempt at each open refund."""
        pool = self._services.refunds
        for job in await claim_jobs(pool, REFUND_JOB, 8):
            await self._provider.mend()
            if fault is not None:
                await self._provider.fail(fault)
            await attempt(job, self._handler, RETRIES)


@pytest.mark.timeout(300)
def test_every_payment_is_the_captured_one_or_refunded_once_in_any_sequence_of_commands(
    make_database: MakeDatabase,
) -> None:
    with asyncio.Runner() as runner:
        services = services_without_kafka(make_database)
        entered = runner.run(services.__aenter__())

        class OnTheseDatabases(MoneyOfAnOrder):
            def __init__(self) -> None:
                super().__init__(runner, entered)

        try:
            run_machine(OnTheseDatabases, steps=10)
        finally:
            runner.run(services.__aexit__(None, None, None))


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_of_two_concurrent_payments_the_surplus_one_is_refunded_and_a_return_refunds_the_other(
    shop: Shop,
) -> None:
    order = await journeys.place(shop, journeys.example("returned-order"))
    path, references = f"/orders/{order['id']}", [f"pi_{name}_{order['order_number']}" for name in ("a", "b")]

    async def report(reference: str) -> int:
        body = {"new_state": "PAID", "payment_transaction_id": reference}
        return (await shop.as_role("payments", "PATCH", f"{path}/state", body)).status_code

    assert sorted(await asyncio.gather(*map(report, references))) == [200, 409]
    assert [await report(reference) for reference in references] == [200, 200]

    async def surplus_refund() -> list[dict[str, Any]] | None:
        payments: list[dict[str, Any]] = (await shop.expect(200, "client", "GET", path))["payments"]
        return payments if payments[1]["refund_status"] == "SUCCEEDED" else None

    captured, surplus = await shop.eventually("the refund of the surplus payment", surplus_refund)
    assert (captured["kind"], captured["refund_status"], surplus["kind"]) == ("CAPTURED", "NONE", "SURPLUS")
    [provider_refund] = await journeys.ledger(shop, surplus["reference"])
    assert provider_refund["id"] == surplus["refund_transaction_id"]
    assert await journeys.ledger(shop, captured["reference"]) == []

    await journeys.pack(shop, order["id"])
    await journeys.ship(shop, order["id"])
    await journeys.deliver(shop, order["id"])
    new_return = await journeys.open_return(shop, order["id"], "changed my mind")
    await journeys.approve(shop, new_return["id"], "fine")
    for role, state in (("client", "IN_TRANSIT"), ("warehouse", "RECEIVED"), ("warehouse", "COMPLETED")):
        await journeys.move_return(shop, new_return["id"], role, state)
    completed_return = await journeys.refunded(shop, f"/returns/{new_return['id']}", service="returns")
    [provider_refund] = await journeys.ledger(shop, captured["reference"])
    assert provider_refund["id"] == completed_return["refund_transaction_id"]
    assert [await report(reference) for reference in references] == [200, 200]
    assert len(await journeys.ledger(shop, surplus["reference"])) == 1
