"""Storage of the refunds and disputes that the provider's events report (ADR 36).

Events may arrive in any order and more than once. A stored status therefore changes only to a later one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from common.database.statements import Connection, prepare
from common.money import quantize
from sqlalchemy import Table, Text, bindparam, case, exists, func, literal_column, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from refunds.domain.refund import Refund
from refunds.payment_gateway.port import DisputeStatus, GatewayRefund, GatewayRefundStatus, PaymentDisputed
from refunds.tables import (
    book_payments,
    gateway_refunds,
    payment_disputes,
    postings,
    refunds,
)

_REFUND_FIELDS = tuple(field.name for field in fields(GatewayRefund))
_DISPUTE_FIELDS = tuple(field.name for field in fields(PaymentDisputed))
_payment = bindparam("payment_reference", type_=Text)


def _named(table: Table, reference: Any, alias: Any) -> dict[str, Any]:
    """The ids of the payment, which may have come since an earlier event, with the other one of its ids. The id that
    the book has is never replaced: an event that was applied at the same moment, or a list of the provider, may not
    know it."""
    stored = literal_column(f"{table.name}.payment_reference", Text)
    is_booked = exists().where(book_payments.c.reference == stored)
    return {
        "payment_reference": case((is_booked, stored), else_=reference),
        "payment_alias": case((is_booked, None), else_=alias),
    }


_new_refund = insert(gateway_refunds).values({name: bindparam(name) for name in _REFUND_FIELDS})
_rank = {GatewayRefundStatus.PENDING: 1, GatewayRefundStatus.SUCCEEDED: 2, GatewayRefundStatus.FAILED: 3}


def _rank_of(column: Any, ranks: Mapping[Any, int]) -> Any:
    return case({str(status): rank for status, rank in ranks.items()}, value=column)


_is_further = _rank_of(_new_refund.excluded.status, _rank) > _rank_of(gateway_refunds.c.status, _rank)
_MERGE_REFUND = prepare(
    _new_refund.on_conflict_do_update(
        index_elements=[gateway_refunds.c.id],
        set_={
            name: case((_is_further, _new_refund.excluded[name]), else_=gateway_refunds.c[name])
            for name in ("status", "reason")
        }
        | _named(gateway_refunds, _new_refund.excluded.payment_reference, _new_refund.excluded.payment_alias),
    ).returning(*gateway_refunds.c)
)
_REFUND_STATUS = prepare(select(gateway_refunds.c.status).where(gateway_refunds.c.id == bindparam("id")))
# Not requested by us, nor adopted: without a reference, or with one of another system.
_FOREIGN = prepare(
    select(*gateway_refunds.c)
    .where(
        or_(gateway_refunds.c.payment_reference == _payment, gateway_refunds.c.payment_alias == _payment),
        gateway_refunds.c.status != str(GatewayRefundStatus.FAILED),
        not_(exists().where(refunds.c.business_key == gateway_refunds.c.reference)),
        not_(exists().where(refunds.c.transaction_id == gateway_refunds.c.id)),
    )
    .order_by(gateway_refunds.c.created_at)
)

_new_dispute = insert(payment_disputes).values({name: bindparam(name) for name in _DISPUTE_FIELDS})
# LOST is final. A bank can reclaim a payment again after WON; the events of a dispute may come in any order.
_dispute_rank = {DisputeStatus.OPENED: 1, DisputeStatus.WON: 2, DisputeStatus.LOST: 3}
_MERGE_DISPUTE = prepare(
    _new_dispute.on_conflict_do_update(
        index_elements=[payment_disputes.c.dispute_id],
        set_={
            "status": _new_dispute.excluded.status,
            "reason": _new_dispute.excluded.reason,
            "changed_at": func.now(),
        },
        where=_rank_of(_new_dispute.excluded.status, _dispute_rank)
        > _rank_of(payment_disputes.c.status, _dispute_rank),
    ).returning(payment_disputes.c.dispute_id)
)
_NAME_DISPUTE = prepare(
    update(payment_disputes)
    .where(payment_disputes.c.dispute_id == bindparam("of_dispute", type_=Text))
    .values(
        _named(
            payment_disputes,
            bindparam("new_payment_reference", type_=Text),
            bindparam("new_payment_alias", type_=Text),
        )
    )
)
_IS_UNBOOKED = prepare(
    select(
        exists().where(
            payment_disputes.c.dispute_id == bindparam("dispute_id", type_=Text),
            payment_disputes.c.status == bindparam("status", type_=Text),
        )
        & ~exists().where(
            postings.c.subject == func.concat("dispute:", bindparam("dispute_id", type_=Text)),
            postings.c.kind == func.concat("DISPUTE_", bindparam("status", type_=Text)),
        )
    )
)
_DISPUTES = prepare(
    select(*(payment_disputes.c[name] for name in _DISPUTE_FIELDS)).where(
        or_(payment_disputes.c.payment_reference == _payment, payment_disputes.c.payment_alias == _payment),
        payment_disputes.c.status != str(DisputeStatus.WON),
    )
)
_REFUNDS_OF_PAYMENT = prepare(
    select(refunds.c.id).where(refunds.c.payment_reference == _payment).order_by(refunds.c.created_at)
)
_ORDERS_OF_PAYMENT = prepare(
    select(book_payments.c.order_id, book_payments.c.order_number)
    .where(book_payments.c.reference == _payment)
    .order_by(book_payments.c.id)
)
_OWNER = prepare(
    select(refunds.c.id)
    .where(
        or_(
            refunds.c.business_key == bindparam("reference", type_=Text),
            refunds.c.transaction_id == bindparam("id", type_=Text),
        )
    )
    .limit(1)
)
_transaction_id = bindparam("transaction_id", type_=Text)
_IS_OF_ANOTHER = prepare(
    select(
        or_(
            exists().where(refunds.c.transaction_id == _transaction_id),
            exists().where(
                gateway_refunds.c.id == _transaction_id,
                *(
                    or_(name.is_(None), name.not_in([_payment, bindparam("identified_reference", type_=Text)]))
                    for name in (gateway_refunds.c.payment_reference, gateway_refunds.c.payment_alias)
                ),
            ),
        )
    )
)


@dataclass(frozen=True, slots=True)
class Obstacles:
    """What speaks against a refund: disputes of its payment that are open or lost, and refunds made by hand."""

    disputes: Sequence[PaymentDisputed]
    foreign_refunds: Sequence[GatewayRefund]


async def merge_refund(connection: Connection, refund: GatewayRefund) -> GatewayRefund:
    """Store what an event says about a refund; returns it with the furthest status that any event had."""
    row = await _MERGE_REFUND.fetch_one(connection, **{name: getattr(refund, name) for name in _REFUND_FIELDS})
    if row is None:
        raise LookupError(f"no refund {refund.id} after an upsert without a condition")
    return _to_refund(row)


async def merge_dispute(connection: Connection, dispute: PaymentDisputed) -> bool:
    """False where the event says nothing new."""
    parameters = {name: getattr(dispute, name) for name in _DISPUTE_FIELDS}
    if await _MERGE_DISPUTE.fetch_value(connection, **parameters) is not None:
        return True
    await _NAME_DISPUTE.execute(
        connection,
        of_dispute=dispute.dispute_id,
        new_payment_reference=dispute.payment_reference,
        new_payment_alias=dispute.payment_alias,
    )
    return False


async def is_unbooked(connection: Connection, dispute: PaymentDisputed) -> bool:
    """Whether it has this status, and the book does not have that yet."""
    parameters = {"dispute_id": dispute.dispute_id, "status": dispute.status}
    unbooked: bool = await _IS_UNBOOKED.fetch_value(connection, **parameters)
    return unbooked


async def status_of(connection: Connection, transaction_id: str) -> GatewayRefundStatus | None:
    """By events; None where there was none."""
    status = await _REFUND_STATUS.fetch_value(connection, id=transaction_id)
    return None if status is None else GatewayRefundStatus(status)


async def obstacles(connection: Connection, refund: Refund) -> Obstacles:
    payment = refund.request.payment_reference
    disputes = await _DISPUTES.fetch_all(connection, payment_reference=payment)
    foreign_refunds = await _FOREIGN.fetch_all(connection, payment_reference=payment)
    return Obstacles([_to_dispute(row) for row in disputes], [_to_refund(row) for row in foreign_refunds])


async def owner(connection: Connection, refund: GatewayRefund) -> UUID | None:
    """Our refund that is this one at the provider: it has our reference, or was adopted."""
    found: UUID | None = await _OWNER.fetch_value(connection, reference=refund.reference, id=refund.id)
    return found


async def is_of_another_refund(connection: Connection, transaction_id: str, refund: Refund) -> bool:
    """Whether one of our refunds has it, or a refund at the provider of another payment."""
    payment = refund.request.payment_reference
    is_of_another: bool = await _IS_OF_ANOTHER.fetch_value(
        connection,
        transaction_id=transaction_id,
        payment_reference=payment,
        identified_reference=refund.identified_reference or payment,
    )
    return is_of_another


async def refunds_of_payment(connection: Connection, payment_reference: str) -> list[UUID]:
    """Ours, oldest first."""
    rows = await _REFUNDS_OF_PAYMENT.fetch_all(connection, payment_reference=payment_reference)
    return [row["id"] for row in rows]


async def orders_of_payment(connection: Connection, payment_reference: str) -> list[tuple[UUID, str]]:
    """Ids and numbers of the orders that it pays; normally one."""
    rows = await _ORDERS_OF_PAYMENT.fetch_all(connection, payment_reference=payment_reference)
    return [(row["order_id"], row["order_number"]) for row in rows]


def _to_refund(row: Any) -> GatewayRefund:
    values = {name: row[name] for name in _REFUND_FIELDS}
    amount = quantize(row["amount"], row["currency"])
    return GatewayRefund(**values | {"amount": amount, "status": GatewayRefundStatus(row["status"])})


def _to_dispute(row: Any) -> PaymentDisputed:
    values = {name: row[name] for name in _DISPUTE_FIELDS}
    amount = quantize(row["amount"], row["currency"])
    return PaymentDisputed(**values | {"amount": amount, "status": DisputeStatus(row["status"])})
