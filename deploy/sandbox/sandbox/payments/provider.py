"""A payment provider in any dialect: refunds, their later changes and disputes, each with its events."""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace

from sandbox.payments.dialect import Dialect, Dispute
from sandbox.payments.ledger import Call, Ledger, StoredResponse
from sandbox.payments.outcomes import Change
from sandbox.payments.refund import DEFAULT_CURRENCY, Refund, new_refund, reference_of, with_status
from sandbox.payments.webhooks import Webhooks

CHARGES = ("ch_", "py_")


class UnknownObjectError(ValueError):
    """There is no such refund or dispute."""


class Provider:
    """Each method that changes something is one durable transaction."""

    def __init__(self, connection: sqlite3.Connection, ledger: Ledger, webhooks: Webhooks, dialect: Dialect) -> None:
        self.ledger = ledger
        self._connection = connection
        self._webhooks = webhooks
        self._dialect = dialect
        self._wake = asyncio.Event()

    def record_call(self, call: Call, outcome: str, status: int | None = None) -> None:
        call.outcome, call.status = outcome, status
        with self._connection:
            self.ledger.write_call(call)

    def record_refund(
        self,
        call: Call,
        refund: Refund | None,
        *,
        response: StoredResponse | None = None,
        later: Sequence[Change] = (),
        lookup_lag: float = 0,
    ) -> None:
        """Store a call with its refund, and the response for its idempotency key.

        Lists contain the refund only after `lookup_lag` seconds.
        """
        now = time.time()
        with self._connection:
            self.ledger.write_call(call)
            if response is not None and call.idempotency_key is not None:
                self.ledger.write_response(call.idempotency_key, response)
            if refund is not None:
                self.ledger.add_refund(refund, call.idempotency_key, now + lookup_lag if lookup_lag else 0)
                self._webhooks.publish(self._dialect.refund_made(refund), reference_of(refund))
                for change in later:
                    self.ledger.add_change(refund["id"], now + change.after_seconds, change.status, change.reason)
        self._wake.set()

    def change_refund(self, refund_id: str, status: str, reason: str | None) -> Refund:
        """Raises UnknownObjectError."""
        with self._connection:
            return self._change_refund(refund_id, status, reason)

    def refund_by_hand(self, payment: str, amount: int | None, currency: str | None) -> Refund:
        """Make a refund as in the provider's dashboard, without our reference. Raises ValueError for more than the
        captured amount."""
        capture = self.ledger.capture(payment)
        unrefunded = None if capture is None else capture.amount - self.ledger.refunded(payment)
        amount = unrefunded if amount is None else amount
        if not amount or (unrefunded is not None and amount > unrefunded):
            raise ValueError(f"amount must be from 1 to what was captured and not refunded yet: {unrefunded}")
        currency = self.ledger.currency(payment) or currency or DEFAULT_CURRENCY
        is_charge = payment.startswith(CHARGES)
        refund = new_refund(
            amount=amount,
            currency=currency,
            payment_intent=None if is_charge else payment,
            charge=payment if is_charge else None,
        )
        with self._connection:
            self.ledger.add_refund(refund)
            self._webhooks.publish(self._dialect.refund_made(refund), None)
        return refund

    def open_dispute(self, payment: str, amount: int, currency: str, reason: str) -> Dispute:
        dispute_id = f"dp_{secrets.token_hex(12)}"
        return self._store_dispute(Dispute(dispute_id, payment, amount, currency, reason, "opened", time.time()))

    def close_dispute(self, payment: str, status: str) -> Dispute:
        """Raises UnknownObjectError if no dispute of the payment is open."""
        dispute = self.ledger.dispute(payment)
        if dispute is None or dispute.status != "opened":
            raise UnknownObjectError(f"payment {payment} has no open dispute")
        return self._store_dispute(replace(dispute, status=status))

    def declare_capture(self, payment: str, amount: int, currency: str) -> None:
        with self._connection:
            self.ledger.declare_capture(payment, amount, currency)

    def expire_keys(self, payment: str | None) -> int:
        """Forget the responses of the idempotency keys of a payment, or of all; returns their number."""
        with self._connection:
            return self.ledger.forget_responses(payment)

    def hasten_changes(self, payment: str) -> None:
        """Make the later changes of a payment's refunds now."""
        with self._connection:
            self._make_changes(self.ledger.take_changes(payment=payment))

    async def run(self) -> None:
        """Make the later changes of refunds when they are due."""
        while True:
            self._wake.clear()
            with self._connection:
                self._make_changes(self.ledger.take_changes(due=time.time()))
            due = self.ledger.next_change()
            try:
                await asyncio.wait_for(self._wake.wait(), None if due is None else max(due - time.time(), 0.001))
            except TimeoutError:
                continue

    def _make_changes(self, changes: Sequence[tuple[str, str, str | None]]) -> None:
        for refund_id, status, reason in changes:
            self._change_refund(refund_id, status, reason)

    def _change_refund(self, refund_id: str, status: str, reason: str | None) -> Refund:
        refund = self.ledger.refund(refund_id)
        if refund is None:
            raise UnknownObjectError(f"no refund {refund_id}")
        changed = with_status(refund, status, reason)
        self.ledger.replace_refund(changed)
        events = self._dialect.refund_changed(changed, refund["status"]) if changed != refund else []
        self._webhooks.publish(events, reference_of(refund))
        return changed

    def _store_dispute(self, dispute: Dispute) -> Dispute:
        with self._connection:
            self.ledger.write_dispute(dispute)
            self._webhooks.publish(self._dialect.dispute_changed(dispute), None)
        return dispute
