"""The trial balance of the book, for staff, operators and the reconciler (ADR 38)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from common.database.statements import Connection, Record
from common.money import quantize
from prometheus_client import Gauge

from refunds.repository import closing, trial_balance

_difference = Gauge(
    "book_trial_balance_difference",
    "Absolute difference in the latest trial balance, in major units; anything but 0 is an alert",
    ["currency"],
)
_in_excess = Gauge("book_payments_in_excess", "Payments of which the provider paid back more than was captured")
_disagreements = Gauge("book_disagreements", "Reports that differ from the book: an amount, or an unknown payment")


@dataclass(frozen=True, slots=True)
class BookAccount:
    """`balance` is what the payments' balances add up to; it is the debits less the credits, or the book is wrong."""

    currency: str
    account: str
    debits: Decimal
    credits: Decimal
    balance: Decimal

    @property
    def difference(self) -> Decimal:
        return abs(self.balance - (self.debits - self.credits))


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """`payments` are those of one order, if only those were asked for, with their entries."""

    accounts: Sequence[BookAccount]
    payments_in_excess: int
    disagreements: int
    payments: Sequence[dict[str, Any]] = ()

    @property
    def differences(self) -> dict[str, Decimal]:
        """Of each currency: how much its balances differ from 0 in sum, and its accounts from their postings."""
        differences: dict[str, Decimal] = {}
        for currency in {each.currency for each in self.accounts}:
            own = [each for each in self.accounts if each.currency == currency]
            total = abs(sum((each.balance for each in own), Decimal(0)))
            differences[currency] = total + sum((each.difference for each in own), Decimal(0))
        return differences

    @property
    def is_zero(self) -> bool:
        return not any(self.differences.values())


async def get_trial_balance(
    connection: Connection, order_id: UUID | None = None, *, reads_all: bool = False
) -> TrialBalance:
    """Of the whole book, or of the payments of one order; the gauges show the latest one of the whole book.

    Of the whole book, the postings since its closing are read, and what they touched; with `reads_all`, in a
    transaction, all.
    """
    accounts = [_account(row) for row in await _rows(connection, order_id, reads_all=reads_all)]
    findings = await trial_balance.findings(connection)
    payments = [] if order_id is None else await _payments(connection, order_id)
    balance = TrialBalance(accounts, findings["payments_in_excess"], findings["disagreements"], payments)
    if order_id is None:
        for currency, difference in balance.differences.items():
            _difference.labels(currency).set(float(difference))
        _in_excess.set(balance.payments_in_excess)
        _disagreements.set(balance.disagreements)
    return balance


async def _rows(connection: Connection, order_id: UUID | None, *, reads_all: bool) -> Sequence[Record]:
    if order_id is not None:
        return await trial_balance.accounts(connection, order_id)
    if reads_all:
        return await trial_balance.all_accounts(connection)
    since_closing = await closing.accounts_since_closing(connection)
    return await trial_balance.accounts(connection) if since_closing is None else since_closing


async def check_book(connection: Connection) -> dict[str, Any]:
    """The trial balance of the whole book by all of its postings, for the command line."""
    balance = await get_trial_balance(connection, reads_all=True)
    return {
        "is_zero": balance.is_zero,
        "payments_in_excess": balance.payments_in_excess,
        "disagreements": balance.disagreements,
        "accounts": [asdict(each) | {"difference": each.difference} for each in balance.accounts],
    }


async def _payments(connection: Connection, order_id: UUID) -> list[dict[str, Any]]:
    entries = await trial_balance.entries_of(connection, order_id)
    return [
        {
            **_money(dict(payment), payment["currency"]),
            "entries": [
                _money(dict(each), payment["currency"]) for each in entries if each["payment_id"] == payment["id"]
            ],
        }
        for payment in await trial_balance.payments_of(connection, order_id)
    ]


def _account(row: Record) -> BookAccount:
    # Not rounded: a difference of less than a cent is one.
    return BookAccount(**dict(row))


def _money(row: dict[str, Any], currency: str) -> dict[str, Any]:
    """With the decimals of the currency; the columns have four."""
    return {name: quantize(each, currency) if isinstance(each, Decimal) else each for name, each in row.items()}
