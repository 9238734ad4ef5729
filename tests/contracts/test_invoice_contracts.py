"""The events of invoicing match their schemas, and orders reads them."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from common.messaging.envelope import EventData
from generators.event_schemas import committed_schema
from invoicing.domain.invoice import Document
from invoicing.events import FAILED, ISSUED, InvoiceFailed, invoice_data
from jsonschema import Draft202012Validator
from orders.views import InvoiceView
from support.example.invoices import a_pending_invoice

NOW = datetime(2026, 11, 20, 9, 30, 1, tzinfo=UTC)
PENDING = a_pending_invoice(NOW)
INVOICE = PENDING.issue(Document("ab" * 32, 23_067), NOW)
PUBLISHED_EVENTS = {
    "issued": (ISSUED, invoice_data(ISSUED, INVOICE)),
    "document failed": (FAILED, invoice_data(FAILED, PENDING.fail_document("no room", 4))),
    "mail failed": (FAILED, invoice_data(FAILED, INVOICE.fail_mail("451", 4))),
}


@pytest.mark.parametrize(("event_type", "data"), PUBLISHED_EVENTS.values(), ids=PUBLISHED_EVENTS.keys())
def test_published_invoice_events_match_their_schema(event_type: str, data: EventData) -> None:
    validator = Draft202012Validator(committed_schema(event_type), format_checker=Draft202012Validator.FORMAT_CHECKER)
    validator.validate(json.loads(data.model_dump_json()))


def test_the_event_of_a_failed_invoice_names_the_failed_step() -> None:
    events = [
        invoice_data(FAILED, PENDING.fail_document("no room", 4)),
        invoice_data(FAILED, INVOICE.fail_mail("451", 4)),
    ]
    assert [data.step for data in events if isinstance(data, InvoiceFailed)] == ["document", "mail"]


def test_orders_reads_the_document_from_invoice_events() -> None:
    view = InvoiceView.model_validate_json(invoice_data(ISSUED, INVOICE).model_dump_json())
    assert (view.invoice_id, view.document.sha256) == (INVOICE.id, "ab" * 32)
    assert (view.total_amount, view.issued_at) == (Decimal("79.06"), NOW)
