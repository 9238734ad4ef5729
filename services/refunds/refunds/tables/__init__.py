"""The tables of refunds, in addition to those that every service has (common.database.tables)."""

from refunds.tables.book import book_closing, book_disagreements, book_payments, postings
from refunds.tables.provider import gateway_refunds, gateway_sweeps, payment_disputes, provider_events
from refunds.tables.refunds import (
    ENTITY,
    identified_payments,
    refund_call_answers,
    refund_calls,
    refund_counts,
    refunds,
)
from refunds.tables.schema import metadata

__all__ = [
    "ENTITY",
    "book_closing",
    "book_disagreements",
    "book_payments",
    "gateway_refunds",
    "gateway_sweeps",
    "identified_payments",
    "metadata",
    "payment_disputes",
    "postings",
    "provider_events",
    "refund_call_answers",
    "refund_calls",
    "refund_counts",
    "refunds",
]
