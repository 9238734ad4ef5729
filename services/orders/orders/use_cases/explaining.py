"""Explain an order: what orders knows itself, what the others answer, and the diagnosis of both (ADR 42)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from common.database.statements import Connection
from common.errors import Problem

from orders.explanation.diagnosis import Diagnosis, diagnose
from orders.explanation.entries import Entry, entries_of
from orders.explanation.evidence import (
    Evidence,
    InvoicingTimeline,
    Limits,
    OrdersTimeline,
    PeerTimeline,
    RefundsTimeline,
    ReturnsTimeline,
    Silence,
)
from orders.repository import timelines

Answers: TypeAlias = Mapping[str, PeerTimeline | Silence]


@dataclass(frozen=True, slots=True)
class Explanation:
    evidence: Evidence
    diagnosis: Diagnosis
    entries: list[Entry]
    answers: Answers


async def require_order_id(connection: Connection, id_or_number: str) -> UUID:
    """Raises `Problem` NOT_FOUND where no order has this id or number."""
    try:
        order_id = await timelines.find_id(connection, id_or_number, UUID(id_or_number))
    except ValueError:
        order_id = await timelines.find_id(connection, id_or_number, None)
    if order_id is None:
        raise Problem.not_found("order", id_or_number)
    return order_id


def explain(timeline: Mapping[str, Any], answers: Answers, limits: Limits) -> Explanation:
    """`timeline` is that of orders itself."""
    evidence = _evidence(msgspec.convert(timeline, OrdersTimeline), answers, limits)
    return Explanation(evidence, diagnose(evidence), entries_of(evidence), answers)


def _evidence(own: OrdersTimeline, answers: Answers, limits: Limits) -> Evidence:
    returns, invoicing, refunds = (answers.get(name) for name in ("returns", "invoicing", "refunds"))
    return Evidence(
        own,
        returns if isinstance(returns, ReturnsTimeline) else None,
        invoicing if isinstance(invoicing, InvoicingTimeline) else None,
        refunds if isinstance(refunds, RefundsTimeline) else None,
        silent={name: answer for name, answer in answers.items() if isinstance(answer, Silence)},
        limits=limits,
    )
