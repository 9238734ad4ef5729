"""Any sequence of entries: the trial balance is zero after each, and the balances are those of a plain model."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from uuid import uuid4

import pytest
from common.database.transactions import Pool, open_pool, transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from refunds.domain.book import Overdrawn
from refunds.domain.refund import Refund
from refunds.payment_gateway.port import DisputeStatus, GatewayRefund, GatewayRefundStatus, PaymentDisputed
from refunds.repository import closing
from refunds.use_cases import booking
from refunds.use_cases.settlement import book_settlement
from refunds.use_cases.trial_balance import get_trial_balance
from support.example.refunds import EVENT, NOW, a_refund
from support.postgres.book import balances_of
from support.postgres.databases import Database
from support.state_machines import run_machine

CEILING = Decimal(100)
# Of one payment: the whole, and parts of it.
AMOUNTS = (CEILING, Decimal(60), Decimal("0.01"), Decimal("39.99"))
REFUNDS = st.integers(0, len(AMOUNTS) - 1)
FOREIGN = st.sampled_from([("re_a", Decimal(30)), ("re_b", Decimal(100))])
DISPUTES = st.sampled_from([("dp_a", Decimal(100)), ("dp_b", Decimal("12.5"))])


class Book(RuleBasedStateMachine):
    """The model has, of each subject, where its money is: nothing else decides what an entry does."""

    def __init__(self, runner: asyncio.Runner, pool: Pool) -> None:
        super().__init__()
        self._run, self._pool = runner.run, pool
        whole = a_refund(amount=CEILING)
        self._refunds = [
            replace(whole, id=uuid4(), request=replace(whole.request, amount=amount)) for amount in AMOUNTS
        ]
        self._payment = whole
        self._salt = uuid4().hex
        self._place: dict[str, tuple[str, Decimal]] = {}
        self._run(self._in_transaction(booking.record_requested, [(whole.request, EVENT)]))

    @rule(number=REFUNDS)
    def a_refund_is_reserved(self, number: int) -> None:
        self._decide(number, booking.reserve_refund, "in_flight", allowed={"refundable"})

    @rule(number=REFUNDS)
    def the_provider_has_accepted_a_refund(self, number: int) -> None:
        reserve = partial(booking.reserve_refund, accepted=True)
        self._happen(number, reserve, "in_flight", allowed={"refundable"})

    @rule(number=REFUNDS)
    def a_refund_is_settled_by_hand(self, number: int) -> None:
        """For what of it was not paid before, by itself or others."""
        place, amount = self._place_of(number)
        balances = self._balances()
        before = amount if place == "settled" else Decimal(0)
        left = sum(balances.get(each, Decimal(0)) for each in ("refundable", "in_flight", "disputed")) + before
        owed = max(before, min(AMOUNTS[number], left))
        free = balances["refundable"] + before + (amount if place == "in_flight" else 0)
        settle = self._in_transaction(book_settlement, self._changed(number), EVENT)
        is_reserved = (place, amount) == ("in_flight", owed)
        if place != "paid_back" and not is_reserved and owed > max(before, free):
            with pytest.raises(Overdrawn) as refusal:
                self._run(settle)
            assert refusal.value.refundable == free
            return
        self._run(settle)
        if place != "paid_back" and owed > before:
            self._place[str(number)] = ("settled", owed)
        elif place == "in_flight":
            self._place[str(number)] = ("refundable", amount)

    @rule(number=REFUNDS)
    def a_refund_is_released(self, number: int) -> None:
        self._happen(number, booking.release_refund, "refundable", allowed={"in_flight"})

    @rule(number=REFUNDS)
    def the_provider_makes_a_refund(self, number: int) -> None:
        self._happen(number, booking.book_refund, "paid_back", allowed={"refundable", "in_flight"})

    @rule(number=REFUNDS)
    def the_provider_takes_a_success_back(self, number: int) -> None:
        self._happen(number, booking.book_reversal, "refundable", allowed={"paid_back", "settled"})

    @rule(foreign=FOREIGN)
    def somebody_refunds_by_hand(self, foreign: tuple[str, Decimal]) -> None:
        self._run(self._in_transaction(booking.book_foreign_refund, self._by_hand(foreign), EVENT))
        self._place.setdefault(foreign[0], ("paid_elsewhere", foreign[1]))

    @rule(foreign=FOREIGN)
    def a_refund_by_hand_fails(self, foreign: tuple[str, Decimal]) -> None:
        self._run(self._in_transaction(booking.book_foreign_reversal, self._by_hand(foreign), EVENT))
        if foreign[0] in self._place:
            self._place[foreign[0]] = ("refundable", foreign[1])

    @rule(dispute=DISPUTES, status=st.sampled_from(DisputeStatus))
    def the_bank_disputes_or_decides(self, dispute: tuple[str, Decimal], status: DisputeStatus) -> None:
        name, amount = dispute
        reference = self._payment.request.payment_reference
        event = PaymentDisputed(f"{name}{self._salt}", reference, amount, "EUR", status, None)
        self._run(self._in_transaction(booking.book_dispute, event, EVENT))
        place = {DisputeStatus.WON: "refundable", DisputeStatus.LOST: "lost", DisputeStatus.OPENED: "disputed"}[status]
        if status is not DisputeStatus.OPENED or name not in self._place:
            self._place[name] = (place, amount)

    @rule()
    def the_book_is_closed(self) -> None:
        async def close() -> None:
            async with transaction(self._pool) as connection:
                last = await closing.last_posting(connection)
                assert last.position is not None
                await closing.close(connection, last.position, anew=False)

        self._run(close())

    @invariant()
    def the_trial_balance_is_zero_and_the_balances_are_those_of_the_model(self) -> None:
        async def check() -> None:
            async with transaction(self._pool) as connection:
                whole = await get_trial_balance(connection, reads_all=True)
                since_closing = await get_trial_balance(connection)
                assert whole.is_zero
                assert since_closing.is_zero
                assert set(since_closing.accounts) == set(whole.accounts)
                assert await balances_of(connection, self._payment) == self._expected()

        self._run(check())

    def _decide(self, number: int, entry: Callable[..., Awaitable[object]], target: str, *, allowed: set[str]) -> None:
        """Ours to decide: refused where less is refundable."""
        place, amount = self._place_of(number)
        left = self._balances().get("refundable", Decimal(0))
        is_refused = place == "refundable" and left < amount
        if is_refused:
            with pytest.raises(Overdrawn) as refusal:
                self._run(self._in_transaction(entry, self._changed(number), EVENT))
            assert refusal.value.refundable == left
            return
        self._run(self._in_transaction(entry, self._changed(number), EVENT))
        if place in allowed:
            self._place[str(number)] = (target, amount)

    def _happen(self, number: int, entry: Callable[..., Awaitable[object]], target: str, *, allowed: set[str]) -> None:
        place, amount = self._place_of(number)
        self._run(self._in_transaction(entry, self._changed(number), EVENT))
        if place in allowed:
            self._place[str(number)] = (target, amount)

    def _place_of(self, number: int) -> tuple[str, Decimal]:
        """The account of the refund's money, and the amount there. An entry moves all that is refundable."""
        place, amount = self._place.get(str(number), ("refundable", AMOUNTS[number]))
        return place, AMOUNTS[number] if place == "refundable" else amount

    def _changed(self, number: int) -> Refund:
        """A refund that was made once more after a reversal has another transaction id."""
        return replace(self._refunds[number], transaction_id=f"re_{uuid4().hex}")

    def _by_hand(self, foreign: tuple[str, Decimal]) -> GatewayRefund:
        name, amount = foreign
        reference = self._payment.request.payment_reference
        status = GatewayRefundStatus.SUCCEEDED
        return GatewayRefund(f"{name}{self._salt}", status, None, reference, amount, "EUR", None, NOW)

    def _balances(self) -> Mapping[str, Decimal]:
        balances: defaultdict[str, Decimal] = defaultdict(Decimal, captured=CEILING, refundable=CEILING)
        for place, amount in self._place.values():
            balances["refundable"] -= amount
            balances[place] += amount
        return balances

    def _expected(self) -> dict[str, Decimal]:
        balances = dict(self._balances())
        balances["excess"] = max(Decimal(0), -balances["refundable"])
        return {name: amount for name, amount in balances.items() if amount}

    async def _in_transaction(self, entry: Callable[..., Awaitable[object]], *arguments: object) -> None:
        async with transaction(self._pool) as connection:
            await entry(connection, *arguments)


def test_the_balances_are_those_of_a_model_after_any_sequence_of_entries(database: Database) -> None:
    with asyncio.Runner() as runner:
        pool = runner.run(open_pool(database.dsn, size=2, application_name="test"))

        class OnThisDatabase(Book):
            def __init__(self) -> None:
                super().__init__(runner, pool)

        try:
            run_machine(OnThisDatabase, examples=40, steps=25)
        finally:
            runner.run(pool.close())
