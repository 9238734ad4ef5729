"""What is needed of a payment gateway, and how a call to it can fail."""

from typing import Protocol

from common.errors import PermanentFailure

from refunds.domain import Refund


class GatewayFailure(Exception):
    """A call to the payment gateway did not bring a refund.

    `answer_is_kept`: the gateway may give this answer to the same idempotency key again, for ever.
    """

    answer_is_kept = False


class GatewayUnavailable(GatewayFailure):
    """Certainly nothing happened: the call never arrived, or was turned away unread. A later one may succeed."""


class OutcomeUnknown(GatewayFailure):
    """The refund may or may not have been made: it is to be looked up before it is asked for again."""


class GatewayError(OutcomeUnknown):
    """The gateway answered that it failed (5xx); how far it came, it does not say."""

    answer_is_kept = True


class Declined(GatewayFailure, PermanentFailure):
    """The gateway refuses the refund for good, and says why."""

    answer_is_kept = True


class PaymentGateway(Protocol):
    """Both calls give the gateway's transaction id of the refund and raise `GatewayFailure`; both may take seconds."""

    async def refund(self, refund: Refund) -> str:
        """Pay back, once per `refund.idempotency_key`."""
        ...

    async def find(self, refund: Refund) -> str | None:
        """The refund that carries `refund.reference`, whenever it was asked for; None if there is certainly none."""
        ...
