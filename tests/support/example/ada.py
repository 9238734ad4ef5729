"""The running example of all tests: Ada Łukasiewicz orders two teacups and a linen towel for 79.06 EUR."""

from typing import Any
from uuid import UUID

ADA = UUID("0ada0ada-0000-4000-8000-000000000001")
NAME = "Ada Łukasiewicz"
EMAIL = "ada@example.org"
VAT_ID = "DE136695976"
ADDRESS = {
    "street": "Großer Hirschgraben 23",
    "city": "Frankfurt am Main",
    "state": "Hessen",
    "zip": "60311",
    "country": "DE",
}
# The lines in the body of `POST /orders`.
TEACUPS: dict[str, Any] = {
    "product_id": "5fb4e3d9-7a46-4dfa-b4c2-fac97b08b371",
    "product_name": "Teacup, celadon glaze",
    "quantity": 2,
    "unit_price": 24.90,
    "tax_rate": 19,
}
TOWEL: dict[str, Any] = {
    "product_id": "7ed589c8-dfb3-49b2-8561-68e999a4410c",
    "product_name": "Linen towel “Małgorzata”",
    "quantity": 1,
    "unit_price": 18.50,
    "tax_rate": 7,
}
# The amounts of the lines: 49.80 EUR at 19 % and 18.50 EUR at 7 %.
NET, TAX, TOTAL = "68.30", "10.76", "79.06"
ORDER_NUMBER = "ORD-2026-000042"
PAYMENT = "ch_teacups"
# Her data in the events of all services.
CUSTOMER: dict[str, Any] = {"customer_id": str(ADA), "customer_email": EMAIL, "customer_name": NAME}
