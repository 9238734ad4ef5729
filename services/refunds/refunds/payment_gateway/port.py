"""The port to a payment gateway: its two calls, and how they can fail."""

from typing import Protocol

from common.errors import PermanentFailure

from refunds.domain.refund import Refund


class GatewayFailure(Exception):
    """A call to the payment gateway did not make a refund.

    `answer_is_kept`: the gateway may repeat this answer for the same idempotency key, for ever.
    """

    answer_is_kept = False


class GatewayUnavailable(GatewayFailure):
    """Certainly nothing happened: the call did not arrive, or was rejected unread. A later one may succeed."""


class OutcomeUnknown(GatewayFailure):
    """The refund may or may not have been made: look it up before it is requested again."""


class GatewayError(OutcomeUnknown):
    """The gateway answered with an error of its own (5xx), which does not say whether the refund was made."""

    answer_is_kept = True


class Declined(GatewayFailure, PermanentFailure):
    """The gateway declines the refund permanently, with the reason as the message."""

    answer_is_kept = True


class PaymentGateway(Protocol):
    """Both calls return the gateway's transaction id of the refund, raise `GatewayFailure` and may take seconds."""

    async def refund(self, refund: Refund) -> str:
        """Make the refund, once per `refund.idempotency_key`."""
        ...

    async def find(self, refund: Refund) -> str | None:
        """The refund that carries `refund.reference`, whenever it was requested; None if there is certainly none."""
        ...
