"""Publish the result of an invoice again, for a service that has not got it."""

from uuid import UUID

from common.audit.actor import Actor
from common.database.statements import Connection
from common.messaging.outgoing import outbox

from invoicing.domain.invoice import InvoiceStatus
from invoicing.events import ISSUED, new_event
from invoicing.repository import reading


async def publish_result_again(connection: Connection, order_id: UUID, actor: Actor) -> None:
    """The invoice as it is now, as a new event: the consumer may have the old one in its inbox, without its effect.
    Nothing while the invoice is not issued."""
    invoice = await reading.find_of_order(connection, order_id)
    if invoice is not None and invoice.status is InvoiceStatus.ISSUED:
        await outbox.append(connection, new_event(ISSUED, invoice, actor))
