"""Four eyes: above which amount a return needs two approvers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class FourEyes:
    """`of_currency` has the amounts of some currencies, `of_others` that of all others. None is no amount: one approver
    is enough."""

    of_currency: Mapping[str, Decimal] = field(default_factory=dict)
    of_others: Decimal | None = None

    @classmethod
    def parse(cls, text: str) -> "FourEyes":
        """`500`, `EUR=500,JPY=80000` or both: `500,JPY=80000`. Raises `ValueError`."""
        amounts: dict[str, Decimal] = {}
        for each in filter(None, (part.strip() for part in text.split(","))):
            currency, _, amount = each.rpartition("=")
            is_currency = not currency or (currency.isascii() and currency.isupper() and len(currency) == 3)
            if (
                not is_currency
                or not amount.isascii()
                or not amount.replace(".", "", 1).isdigit()
                or currency in amounts
            ):
                raise ValueError("must be amounts such as 500 or EUR=500,JPY=80000")
            amounts[currency] = Decimal(amount)
        return cls({name: amount for name, amount in amounts.items() if name}, amounts.get(""))

    def approvers(self, amount: Decimal, currency: str) -> int:
        limit = self.of_currency.get(currency, self.of_others)
        return 2 if limit is not None and amount > limit else 1
