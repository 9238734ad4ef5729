"""Publish the results of refunds again, for a service that has not got them."""

from collections.abc import Mapping
from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.messaging.outgoing import outbox

from refunds.domain.refund import RefundStatus
from refunds.events import FAILED, PROCESSING, REVERSED, SUCCEEDED, new_event
from refunds.repository import checks

_RESULTS: Mapping[RefundStatus, str] = {
    RefundStatus.SUCCEEDED: SUCCEEDED,
    RefundStatus.DECLINED: FAILED,
    RefundStatus.FAILED: FAILED,
    RefundStatus.REVERSED: REVERSED,
    RefundStatus.PENDING: PROCESSING,
    RefundStatus.UNKNOWN: PROCESSING,
}


async def publish_results_again(
    connection: Connection, order_id: UUID, actor: Actor, *, return_id: UUID | None, reference: str | None
) -> None:
    """The refunds of a return or a payment as they are now, as new events: the consumer may have the old ones in its
    inbox, without their effect. Nothing of a refund that has no result yet. Of a payment that an operator's refund has
    paid back, this is the newest."""
    found = await checks.find_of(connection, order_id, return_id=return_id, reference=reference)
    for refund in sorted(found, key=lambda each: each.status is RefundStatus.SUCCEEDED):
        if refund.status in _RESULTS:
            await outbox.append(connection, new_event(_RESULTS[refund.status], refund, actor))
