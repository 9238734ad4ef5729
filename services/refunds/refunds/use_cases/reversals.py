"""Refunds that fail at the provider after they had succeeded: what they paid is owed again (ADR 36)."""

from collections.abc import Sequence

import structlog
from common.aggregates.changes import Locked
from common.audit.actor import Actor
from common.database.statements import Connection

from refunds.domain.refund import Refund, RefundStatus
from refunds.events import REVERSED, new_event
from refunds.payment_gateway.port import GatewayRefund
from refunds.repository import writing
from refunds.use_cases import booking
from refunds.use_cases.answers import enqueue_mail
from refunds.use_cases.details import details
from refunds.use_cases.jobs import Part

_log = structlog.get_logger(__name__)


async def reverse(connection: Connection, locked: Locked[Refund], made: GatewayRefund, actor: Actor) -> None:
    """The provider took the success back under whose id ours has succeeded."""
    await booking.book_reversal(connection, locked.value, actor)
    await _reverse(connection, locked, made, actor)


async def take_back(
    connection: Connection, refunds: Sequence[Locked[Refund]], made: GatewayRefund, actor: Actor
) -> None:
    """A refund that was made by hand has failed after all. `refunds` are ours of its payment: one that it has paid
    together with others is reversed, for this part."""
    if not await booking.book_foreign_reversal(connection, made, actor):
        return
    for each in refunds:
        if each.value.status is RefundStatus.SUCCEEDED and await booking.is_short(connection, each.value):
            await _reverse(connection, each, made, actor)
        elif each.value.status is RefundStatus.REVERSED and each.value.transaction_id == made.id:
            # It was reversed because of another part, and the customer was told of that one only.
            await _tell(connection, each.value, made, actor)


async def _reverse(connection: Connection, locked: Locked[Refund], made: GatewayRefund, actor: Actor) -> None:
    reason = f"taken back by the provider: {made.reason or 'no reason given'}"
    if made.amount < locked.value.request.amount:
        reason = f"{made.amount} {made.currency} of it, refund {made.id}, {reason}"
    refund = locked.value.reverse(reason)
    await writing.save(connection, locked, refund, actor, details(refund), new_event(REVERSED, refund, actor))
    await _tell(connection, refund, made, actor)
    _log.critical("a refund was taken back by the provider: money is owed again", refund_id=str(refund.id))


async def _tell(connection: Connection, refund: Refund, made: GatewayRefund, actor: Actor) -> None:
    """Whoever was told that it succeeded is told this too."""
    is_part = made.amount < refund.request.amount
    await enqueue_mail(connection, refund, actor, Part(made.amount, made.id) if is_part else None)
