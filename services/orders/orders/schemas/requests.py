"""Request bodies of orders."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from common import money
from common.edge.requests.fields import EmailAddress, ExactNumber, Line, Lines, OptionalLine, RequestBody, WholeNumber
from common.edge.requests.metadata import Metadata, MetadataChanges
from pydantic import (
    AfterValidator,
    Field,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from orders.domain import new_order, pricing
from orders.domain.new_order import NewOrder
from orders.domain.states import OrderStatus
from orders.use_cases.commands import StateChange

HUNDREDTH = Decimal("0.01")


def _known(currency: str) -> str:
    money.minor_digits(currency)
    return currency


def _as_rate(percent: Decimal) -> Decimal:
    """20 and 20.00 are one rate."""
    rate = percent.quantize(HUNDREDTH)
    if rate != percent:
        raise ValueError("must have at most 2 decimals")
    return rate


Currency = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(money.MINOR_DIGITS)})]
# Pydantic omits or misspells a bound in the document where a validator comes first: `WithJsonSchema` states it.
Quantity = Annotated[
    WholeNumber, Field(ge=1, le=1_000_000), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 1_000_000})
]
UnitPrice = Annotated[
    ExactNumber, Field(ge=0, lt=10**9), WithJsonSchema({"type": "number", "minimum": 0, "exclusiveMaximum": 10**9})
]
TaxRate = Annotated[
    ExactNumber,
    Field(ge=0, le=100),
    AfterValidator(_as_rate),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100}),
]


class Address(RequestBody):
    """Many countries have no states, and some no postal codes: both may be empty."""

    street: Line = Field(max_length=255)
    city: Line = Field(max_length=100)
    state: OptionalLine = Field(max_length=50)
    zip: OptionalLine = Field(max_length=20)
    country: Line = Field(max_length=50)

    def to_domain(self) -> new_order.Address:
        return new_order.Address(self.street, self.city, self.state, self.zip, self.country)


class LineItem(RequestBody):
    """`tax_rate` is in percent; `unit_price` is in the order's currency, with at most the decimals of that currency."""

    product_id: UUID
    product_name: Line = Field(max_length=255)
    quantity: Quantity
    unit_price: UnitPrice
    tax_rate: TaxRate = Field(default=Decimal("0.00"), json_schema_extra={"default": 0})

    def to_domain(self) -> pricing.NewLine:
        return pricing.NewLine(self.product_id, self.product_name, self.quantity, self.unit_price, self.tax_rate)


class OrderCreate(RequestBody):
    customer_id: UUID
    customer_email: EmailAddress | None = None
    customer_name: Line | None = Field(default=None, max_length=255)
    buyer_vat_id: Line | None = Field(default=None, max_length=50)
    currency: Currency = "USD"
    line_items: list[LineItem] = Field(min_length=1, max_length=200)
    payment_method: Line = Field(max_length=255)
    shipping_address: Address
    billing_address: Address
    external_id: Line | None = Field(default=None, max_length=255)
    metadata: Metadata | None = None

    @field_validator("line_items")
    @classmethod
    def _prices_fit_the_currency(cls, lines: list[LineItem], info: ValidationInfo) -> list[LineItem]:
        currency = info.data.get("currency")
        if currency is not None:  # otherwise the currency has a problem
            digits = money.minor_digits(currency)
            cls.refuse(
                ((number, "unit_price"), f"must have at most {digits} decimals in {currency}")
                for number, line in enumerate(lines)
                if not money.fits(line.unit_price, currency)
            )
        return lines

    def to_domain(self) -> NewOrder:
        return NewOrder(
            customer_id=self.customer_id,
            customer_email=self.customer_email,
            customer_name=self.customer_name,
            buyer_vat_id=self.buyer_vat_id,
            currency=self.currency,
            lines=tuple(line.to_domain() for line in self.line_items),
            payment_method=self.payment_method,
            shipping_address=self.shipping_address.to_domain(),
            billing_address=self.billing_address.to_domain(),
            external_id=self.external_id,
            metadata=self.metadata or {},
        )


class OrderUpdate(RequestBody):
    """A JSON Merge Patch (RFC 7396): in `metadata`, null deletes a name. `external_id` can be set once."""

    external_id: Line = Field(default_factory=str, max_length=255)
    metadata: MetadataChanges = Field(default_factory=dict)


# The amount of a payment, in the order's currency; a total has the same limit.
PaidAmount = Annotated[
    ExactNumber,
    Field(gt=0, lt=pricing.TOTAL_LIMIT),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": int(pricing.TOTAL_LIMIT)}),
]
# The optional fields of a new state, besides `reason`.
_FIELDS_OF_STATE: Mapping[OrderStatus, tuple[str, ...]] = {
    OrderStatus.PAID: ("payment_transaction_id", "amount"),
    OrderStatus.SHIPPED: ("tracking_number", "carrier"),
}


class OrderStateChange(RequestBody):
    """`payment_transaction_id` and `amount` are allowed with PAID only, `tracking_number` and `carrier` with SHIPPED
    only. An `amount` needs a `payment_transaction_id`."""

    new_state: OrderStatus
    reason: Lines | None = Field(default=None, max_length=500)
    payment_transaction_id: Line | None = Field(default=None, max_length=255)
    tracking_number: Line | None = Field(default=None, max_length=100)
    carrier: Line | None = Field(default=None, max_length=100)
    amount: PaidAmount | None = None

    @model_validator(mode="after")
    def _fits_the_new_state(self) -> "OrderStateChange":
        self.refuse(self._misfits())
        return self

    def _misfits(self) -> Iterator[tuple[tuple[str], str]]:
        if self.new_state is OrderStatus.CANCELLED and self.reason is None:
            yield ("reason",), "is required to cancel"
        if self.amount is not None and self.payment_transaction_id is None:
            yield ("payment_transaction_id",), "is required with an amount"
        for state, fields in _FIELDS_OF_STATE.items():
            for field in fields:
                if getattr(self, field) is not None and self.new_state is not state:
                    yield (field,), f"goes with {state} only"

    def to_domain(self) -> StateChange:
        return StateChange(
            self.new_state,
            self.reason or "",
            self.payment_transaction_id,
            self.tracking_number,
            self.carrier,
            self.amount,
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """One schema per new state, so that the document has the rules of `_misfits`."""
        whole = handler.resolve_ref_schema(handler(core_schema))
        properties, description = whole["properties"], whole["description"]
        whole.clear()
        branches = [_change_to(state, properties) for state in OrderStatus]
        return {"title": cls.__name__, "description": description, "oneOf": branches}


def _change_to(state: OrderStatus, properties: Mapping[str, JsonSchemaValue]) -> JsonSchemaValue:
    """The schema of a change to this state. Cancelling needs a reason, an amount the id of its payment."""
    fields = {name: properties[name] for name in ("reason", *_FIELDS_OF_STATE.get(state, ()))}
    required = ["new_state"]
    if state is OrderStatus.CANCELLED:
        fields["reason"] = {"title": "Reason", **fields["reason"]["anyOf"][0]}
        required.append("reason")
    rules = {"dependentRequired": {"amount": ["payment_transaction_id"]}} if "amount" in fields else {}
    return {
        "title": f"ChangeTo{state.title().replace('_', '')}",
        "type": "object",
        "properties": {"new_state": {"const": state.value, "type": "string"}, **fields},
        "required": required,
        "additionalProperties": False,
        **rules,
    }


class CancelRequest(RequestBody):
    reason: Lines = Field(max_length=500)
