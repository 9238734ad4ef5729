"""A request for a refund to Stripe's API: its validation, and the rules of what can be refunded. No I/O."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qsl

from sandbox.payments.refund import AMOUNT_LIMIT, DEFAULT_CURRENCY, Capture, Refund, new_refund
from sandbox.payments.stripe.errors import (
    charge_already_refunded,
    parameter_invalid,
    parameter_missing,
    parameter_unknown,
    refund_too_large,
)

SUPPORTED = {"payment_intent", "charge", "amount", "currency", "reason"}
IGNORED = {"expand", "instructions_email", "origin", "customer", "refund_application_fee", "reverse_transfer"}
REASONS = {"duplicate", "fraudulent", "requested_by_customer"}
METADATA_KEYS, METADATA_KEY_LENGTH, METADATA_VALUE_LENGTH = 50, 40, 500  # https://docs.stripe.com/api/metadata


@dataclass(frozen=True)
class RefundRequest:
    payment_intent: str | None
    charge: str | None
    amount: int | None
    currency: str | None
    reason: str | None
    metadata: dict[str, str]

    @classmethod
    def from_form(cls, form: Mapping[str, str]) -> Self:
        """Raises StripeError for parameters that Stripe rejects."""
        metadata = {}
        for name, value in form.items():
            if key := re.fullmatch(r"metadata\[([^\[\]]+)\]", name):
                metadata[key[1]] = value
            elif name.split("[")[0] not in SUPPORTED | IGNORED and (name, value) != ("metadata", ""):
                raise parameter_unknown(name)
            elif value == "" and name != "metadata":
                raise parameter_invalid(f"You passed an empty string for '{name}'.", name, "parameter_invalid_empty")
        payment_intent, charge = form.get("payment_intent"), form.get("charge")
        if (payment_intent is None) == (charge is None):
            raise parameter_missing("Exactly one of payment_intent or charge must be provided.", "payment_intent")
        return cls(
            payment_intent,
            charge,
            amount=_read_amount(form["amount"]) if "amount" in form else None,
            currency=_read_currency(form["currency"]) if "currency" in form else None,
            reason=_read_reason(form["reason"]) if "reason" in form else None,
            metadata=_read_metadata(metadata),
        )

    @property
    def payment(self) -> str:
        return self.payment_intent or self.charge or ""

    def fingerprint(self) -> str:
        """The same for requests with the same parameters."""
        return hashlib.sha256(json.dumps(vars(self), sort_keys=True).encode()).hexdigest()

    def refund(self, capture: Capture | None, refunded: int) -> Refund:
        """A new refund in Stripe's format. Raises StripeError if it exceeds the capture less what is `refunded`."""
        amount = self.amount
        if capture is not None:
            unrefunded = capture.amount - refunded
            if unrefunded <= 0:
                raise charge_already_refunded(self.payment)
            amount = unrefunded if amount is None else amount
            if amount > unrefunded:
                raise refund_too_large(unrefunded)
            if self.currency not in (None, capture.currency):
                raise parameter_invalid(f"The charge was made in {capture.currency}.", "currency")
        if amount is None:
            raise parameter_missing("Required for a payment that was not declared to the sandbox: amount.", "amount")
        return new_refund(
            amount=amount,
            currency=self.currency or (capture.currency if capture else self._declared_currency()),
            payment_intent=self.payment_intent,
            charge=self.charge,
            metadata=self.metadata,
            reason=self.reason,
        )

    def _declared_currency(self) -> str:
        """Of a payment that was not declared to the sandbox: what our metadata says of it."""
        currency = self.metadata.get("currency", "")
        return currency.lower() if re.fullmatch(r"[A-Za-z]{3}", currency) else DEFAULT_CURRENCY


def parse_form(body: bytes) -> dict[str, str]:
    """The fields of a form-encoded body; the last value of a repeated name. Raises StripeError."""
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict"))
    except ValueError as error:
        raise parameter_invalid("The request body is not form-encoded.", "body") from error


def _read_amount(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,20}", text):
        raise parameter_invalid(f"Invalid integer: {text}", "amount", "parameter_invalid_integer")
    amount = int(text)
    if amount < 1:
        message = "This value must be greater than or equal to 1."
        raise parameter_invalid(message, "amount", "parameter_invalid_integer")
    if amount >= AMOUNT_LIMIT:
        raise parameter_invalid(f"Amount must be less than {AMOUNT_LIMIT}.", "amount", "amount_too_large")
    return amount


def _read_currency(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise parameter_invalid(f"Invalid currency: {text}.", "currency")
    return text.lower()


def _read_reason(text: str) -> str:
    if text not in REASONS:
        raise parameter_invalid(f"Invalid reason: must be one of {', '.join(sorted(REASONS))}", "reason")
    return text


def _read_metadata(metadata: dict[str, str]) -> dict[str, str]:
    if len(metadata) > METADATA_KEYS:
        raise parameter_invalid(f"You can have up to {METADATA_KEYS} metadata keys.", "metadata")
    for key, value in metadata.items():
        if len(key) > METADATA_KEY_LENGTH or len(value) > METADATA_VALUE_LENGTH:
            message = f"Metadata keys have up to {METADATA_KEY_LENGTH} characters, values {METADATA_VALUE_LENGTH}."
            raise parameter_invalid(message, f"metadata[{key}]")
    return metadata
