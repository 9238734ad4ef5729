"""A refund and its state machine; one refund per request."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from refunds.domain.request import RefundRequest


class RefundStatus(StrEnum):
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


# A failed refund is tried again when an operator replays its job; one that succeeded never changes.
ALLOWED_TRANSITIONS: Mapping[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.PENDING: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.FAILED: frozenset({RefundStatus.PENDING, RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.SUCCEEDED: frozenset(),
}


class TransitionRefused(Exception):
    """The refund's status does not allow this transition."""


@dataclass(frozen=True, slots=True)
class Refund:
    """A change returns a new refund, or raises `TransitionRefused`.

    `attempts` counts the attempts up to the latest result. `key_spent`: the gateway answered the latest call under
    the current idempotency key with an error, and may repeat that answer for this key without reading the request.
    `identified_reference` is the provider's id of the payment, where the request has only the reference derived from
    the order, and the id was reported later.
    """

    id: UUID
    request: RefundRequest
    created_at: datetime
    status: RefundStatus = RefundStatus.PENDING
    transaction_id: str | None = None
    error: str | None = None
    attempts: int = 0
    completed_at: datetime | None = None
    key_epoch: int = 0
    key_spent: bool = False
    identified_reference: str | None = None

    @property
    def reference(self) -> str:
        """Our name for the refund at the gateway, by which it can be looked up."""
        return self.request.business_key

    @property
    def idempotency_key(self) -> str:
        """The same for all attempts, also by a worker that was thought dead, until `reopen` changes it."""
        return f"refund-{self.id}" if self.key_epoch == 0 else f"refund-{self.id}-{self.key_epoch}"

    def succeed(self, transaction_id: str, attempts: int, at: datetime) -> Self:
        return self._change_to(
            RefundStatus.SUCCEEDED, transaction_id=transaction_id, error=None, attempts=attempts, completed_at=at
        )

    def fail(self, error: str, attempts: int) -> Self:
        return self._change_to(RefundStatus.FAILED, error=error, attempts=attempts)

    def reopen(self) -> Self:
        """Try a failed refund again, after the gateway was asked and has no such refund.

        A spent key is then replaced: no refund was made under it, and it can only bring the old error again. Only then
        may the payment get the id that was reported meanwhile: a key belongs to one request for ever.
        """
        pending_refund = self._change_to(RefundStatus.PENDING, error=None)
        return pending_refund._under_a_new_key().redirect() if self.key_spent else pending_refund

    def redirect(self) -> Self:
        """Name the payment by its id, if that is known; allowed while the key was not sent, or is spent and no refund
        was made under it."""
        if self.identified_reference is None:
            return self
        request = replace(self.request, payment_reference=self.identified_reference)
        refund = self._under_a_new_key() if self.key_spent else self
        return replace(refund, request=request, identified_reference=None)

    def _under_a_new_key(self) -> Self:
        return replace(self, key_epoch=self.key_epoch + 1, key_spent=False)

    def _change_to(self, status: RefundStatus, **changes: Any) -> Self:
        if status not in ALLOWED_TRANSITIONS[self.status]:
            raise TransitionRefused(f"refund {self.id} is {self.status}: it cannot become {status}")
        return replace(self, status=status, **changes)
