"""What the book of refunds has of a payment."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from common.database.statements import Connection
from refunds.domain.book import Account
from refunds.domain.refund import Refund

Balances: TypeAlias = Mapping[str, Decimal]
COLUMNS = ("captured", *(str(each) for each in Account if each is not Account.PAYMENT), "excess")


async def balances_of(connection: Connection, refund: Refund) -> Balances:
    """The balances of the refund's payment that are not zero."""
    request = refund.request
    row = await connection.fetchrow(
        "SELECT * FROM book_payments WHERE order_id = $1 AND $2 IN (reference, first_reference)",
        request.order_id,
        request.payment_reference,
    )
    assert row is not None, f"no payment {request.payment_reference} in the book"
    return {name: row[name] for name in COLUMNS if row[name] != 0}


async def disagreements(connection: Connection) -> list[tuple[str, str, str, str]]:
    """Reference, kind, what is booked and what was reported."""
    rows = await connection.fetch("SELECT * FROM book_disagreements ORDER BY position")
    return [(row["reference"], row["kind"], row["booked"], row["reported"]) for row in rows]
