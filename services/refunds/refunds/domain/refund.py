"""A refund and its state machine; one refund per request (ADR 36)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from refunds.domain.request import RefundRequest


class RefundStatus(StrEnum):
    """`READY`: owed, and no call is under way. `CALLING`: a call may be under way. `UNKNOWN`: its answer was lost, so
    the refund may or may not have been made. `PENDING`: the provider has accepted it, the money is on its way.
    `DECLINED`: the provider refused it for good. `FAILED`: all attempts are used up, and certainly nothing was paid.
    `HELD`: it must not be made now, for the reason in `error`. `REVERSED`: it had succeeded, and failed later.
    """

    READY = "READY"
    CALLING = "CALLING"
    UNKNOWN = "UNKNOWN"
    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    HELD = "HELD"
    REVERSED = "REVERSED"


_S = RefundStatus
# A refund that has ended without being paid is tried again when an operator replays its job.
ALLOWED_TRANSITIONS: Mapping[RefundStatus, frozenset[RefundStatus]] = {
    _S.READY: frozenset({_S.CALLING, _S.PENDING, _S.SUCCEEDED, _S.DECLINED, _S.FAILED, _S.HELD}),
    _S.CALLING: frozenset({_S.READY, _S.UNKNOWN, _S.PENDING, _S.SUCCEEDED, _S.DECLINED, _S.FAILED}),
    _S.UNKNOWN: frozenset({_S.READY, _S.UNKNOWN, _S.PENDING, _S.SUCCEEDED, _S.DECLINED, _S.FAILED, _S.HELD}),
    # READY: of a version before these states, in which PENDING meant that the refund was not made yet.
    _S.PENDING: frozenset({_S.READY, _S.SUCCEEDED, _S.DECLINED}),
    _S.SUCCEEDED: frozenset({_S.REVERSED}),
    _S.DECLINED: frozenset({_S.READY, _S.PENDING, _S.SUCCEEDED, _S.DECLINED}),
    _S.FAILED: frozenset({_S.READY, _S.PENDING, _S.SUCCEEDED, _S.DECLINED, _S.FAILED}),
    _S.HELD: frozenset({_S.READY, _S.PENDING, _S.SUCCEEDED, _S.DECLINED, _S.FAILED}),
    _S.REVERSED: frozenset({_S.SUCCEEDED}),
}
# In these, the gateway is called again.
_CALLED = frozenset({_S.READY, _S.CALLING, _S.UNKNOWN})
# Where a call may be under way, money that is paid by hand might be paid twice.
SETTLED_BY_HAND_FROM = frozenset({_S.READY, _S.DECLINED, _S.FAILED, _S.HELD, _S.REVERSED})


class LastAnswer(StrEnum):
    """What the gateway answered to the latest call. `LOST`: nothing, or nothing that says whether it was made."""

    UNAVAILABLE = "UNAVAILABLE"
    LOST = "LOST"
    DECLINED = "DECLINED"


class TransitionRefused(Exception):
    """The refund's status does not allow this transition."""


@dataclass(frozen=True, slots=True)
class Refund:
    """A change returns a new refund, or raises `TransitionRefused`.

    `attempts` counts the calls that requested it. `called_at` is the end of the latest one, or its beginning while it
    has no `last_answer`. `key_spent`: the gateway answered the latest call
    under the current idempotency key with an error, and may repeat that answer for this key without reading the
    request. `reported`: the status of the latest `refund.processing`. `identified_reference` is the provider's id of
    the payment, where the request has only the reference derived from the order, and the id was reported later.
    `unreached_since`: the first of the latest calls in a row that the gateway did not answer; None if it answered the
    latest one. Such calls are no failed attempts.
    """

    id: UUID
    request: RefundRequest
    created_at: datetime
    status: RefundStatus = RefundStatus.READY
    transaction_id: str | None = None
    error: str | None = None
    attempts: int = 0
    completed_at: datetime | None = None
    key_epoch: int = 0
    key_spent: bool = False
    called_at: datetime | None = None
    last_answer: LastAnswer | None = None
    reported: RefundStatus | None = None
    settled_by_hand: bool = False
    identified_reference: str | None = None
    unreached_since: datetime | None = None

    @property
    def reference(self) -> str:
        """Our name for the refund at the gateway, by which it can be looked up."""
        return self.request.business_key

    @property
    def idempotency_key(self) -> str:
        """The same for all attempts, also by a worker that was thought dead, until `reopen` changes it."""
        return f"refund-{self.id}" if self.key_epoch == 0 else f"refund-{self.id}-{self.key_epoch}"

    def call(self, at: datetime) -> Self:
        """The intent to request it, before the call. The gateway may have forgotten a spent key since: then this call
        can make the refund."""
        return self._change_to(
            _S.CALLING,
            called_at=at,
            last_answer=None,
            attempts=self.attempts + 1,
            key_spent=False,
        )

    def lose_answer(
        self, error: str, at: datetime, *, key_spent: bool, declined: bool = False, is_outage: bool = False
    ) -> Self:
        """The call may have made the refund. That holds for a decline too, until a look-up finds none: the reason may
        be that the refund exists. `is_outage`: the gateway gave no answer about it."""
        answer = LastAnswer.DECLINED if declined else LastAnswer.LOST
        changes = {"error": error, "called_at": at, "last_answer": answer, "key_spent": key_spent}
        return self._change_to(_S.UNKNOWN, unreached_since=self._first_unreached(at) if is_outage else None, **changes)

    def not_reached(self, error: str, at: datetime, *, key_spent: bool) -> Self:
        """The call certainly did nothing."""
        changes = {"error": error, "called_at": at, "last_answer": LastAnswer.UNAVAILABLE, "key_spent": key_spent}
        return self._change_to(_S.READY, unreached_since=self._first_unreached(at), **changes)

    def is_absent(self) -> Self:
        """Of a refund that was called, the look-up shows for certain that nothing was made."""
        return self._change_to(_S.READY)

    def await_completion(self, transaction_id: str) -> Self:
        return self._change_to(_S.PENDING, transaction_id=transaction_id, error=None)

    def report(self) -> Self:
        """`refund.processing` was published for the current status."""
        return replace(self, reported=self.status)

    def succeed(self, transaction_id: str, at: datetime) -> Self:
        return self._change_to(_S.SUCCEEDED, transaction_id=transaction_id, error=None, completed_at=at)

    def settle(self, reference: str, at: datetime) -> Self:
        """An operator has paid the customer in another way, under this reference."""
        if self.status not in SETTLED_BY_HAND_FROM:
            raise TransitionRefused(f"refund {self.id} is {self.status}: it cannot be settled by hand")
        return replace(self.succeed(reference, at), settled_by_hand=True)

    def reverse(self, error: str) -> Self:
        """The provider took the success back; the money is owed again."""
        return self._change_to(_S.REVERSED, error=error, settled_by_hand=False)

    def decline(self, error: str) -> Self:
        """The provider keeps an accepted refund that failed later as the answer to its key."""
        key_spent = self.key_spent or self.status is _S.PENDING
        changes = {"error": error, "transaction_id": None, "reported": None, "key_spent": key_spent}
        return self._change_to(_S.DECLINED, **changes)

    def fail(self, error: str) -> Self:
        """After the last attempt. DECLINED if the latest call was declined, or the provider had accepted it and did not
        make it. UNKNOWN if the call may have made the refund. Otherwise FAILED: nothing was paid."""
        if self.last_answer is LastAnswer.DECLINED or self.status is _S.PENDING:
            return self.decline(error)
        if self.status in {_S.CALLING, _S.UNKNOWN}:
            return self._change_to(_S.UNKNOWN, error=error)
        return self._change_to(_S.FAILED, error=error, reported=None)

    def hold(self, reason: str) -> Self:
        return self._change_to(_S.HELD, error=reason)

    def release(self) -> Self:
        """What held it is over."""
        return self._change_to(_S.READY, error=None)

    def reopen(self) -> Self:
        """Try a refund again that had ended, after the gateway was asked and has no such refund.

        A spent key is then replaced: no refund was made under it, and it can only bring the old error again. Only then
        may the payment get the id that was reported meanwhile: a key belongs to one request for ever.
        """
        if self.status not in {_S.DECLINED, _S.FAILED}:
            raise TransitionRefused(f"refund {self.id} is {self.status}: it has not ended")
        ready_refund = self._change_to(_S.READY, error=None)
        return ready_refund._under_a_new_key()._name_payment() if self.key_spent else ready_refund

    def redirect(self) -> Self:
        """Name the payment by its id, if that is known; allowed while the key was not sent, or is spent and no refund
        was made under it."""
        if self.identified_reference is None or (self.attempts and not self.key_spent):
            return self
        return (self._under_a_new_key() if self.key_spent else self)._name_payment()

    def _name_payment(self) -> Self:
        if self.identified_reference is None:
            return self
        request = replace(self.request, payment_reference=self.identified_reference)
        return replace(self, request=request, identified_reference=None)

    def _first_unreached(self, at: datetime) -> datetime:
        return self.unreached_since or at

    def _under_a_new_key(self) -> Self:
        return replace(self, key_epoch=self.key_epoch + 1, key_spent=False, last_answer=None)

    def _change_to(self, status: RefundStatus, **changes: Any) -> Self:
        if status not in ALLOWED_TRANSITIONS[self.status]:
            raise TransitionRefused(f"refund {self.id} is {self.status}: it cannot become {status}")
        if status not in _CALLED:
            changes["unreached_since"] = None
        return replace(self, status=status, **changes)
