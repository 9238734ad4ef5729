"""The states of an invoice: which commands each of them allows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from invoicing.domain.invoice import Document, Failure, Invoice, InvoiceStatus, MailStatus, Step, TransitionRefused
from support.example.invoices import a_pending_invoice

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
DOCUMENT = Document("ab" * 32, 23_000)
NEW = a_pending_invoice(NOW)
WITHOUT_ADDRESS = replace(NEW, mail_status=MailStatus.NO_ADDRESS)
FAILED = NEW.fail_document("disk full", 4)
ISSUED = NEW.issue(DOCUMENT, NOW)
MAIL_FAILED = ISSUED.fail_mail("451", 4)
MAILED = ISSUED.record_mail()
STATES = {
    "pending": NEW,
    "pending, no address": WITHOUT_ADDRESS,
    "failed": FAILED,
    "issued": ISSUED,
    "issued, no address": WITHOUT_ADDRESS.issue(DOCUMENT, NOW),
    "mail failed": MAIL_FAILED,
    "mailed": MAILED,
}
COMMANDS: dict[str, Callable[[Invoice], Invoice]] = {
    "issue": lambda invoice: invoice.issue(DOCUMENT, NOW),
    "fail_document": lambda invoice: invoice.fail_document("disk full", 8),
    "record_mail": lambda invoice: invoice.record_mail(),
    "fail_mail": lambda invoice: invoice.fail_mail("451", 8),
}
ALLOWED = {
    "pending": {"issue", "fail_document"},
    "pending, no address": {"issue", "fail_document"},
    "failed": {"issue", "fail_document"},
    "issued": {"record_mail", "fail_mail"},
    "issued, no address": set(),
    "mail failed": {"record_mail", "fail_mail"},
    "mailed": set(),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("state", STATES)
def test_each_command_is_permitted_only_in_its_states(state: str, command: str) -> None:
    invoice = STATES[state]
    if command in ALLOWED[state]:
        assert COMMANDS[command](invoice).number == invoice.number
    else:
        with pytest.raises(TransitionRefused, match=invoice.number):
            COMMANDS[command](invoice)


def test_a_failed_document_has_its_step_error_and_attempts() -> None:
    assert FAILED.status is InvoiceStatus.FAILED
    assert FAILED.failure == Failure(Step.DOCUMENT, "disk full", 4)


def test_issuing_after_a_replay_clears_the_failure() -> None:
    invoice = FAILED.issue(DOCUMENT, NOW)
    assert (invoice.status, invoice.document, invoice.issued_at, invoice.failure) == (
        InvoiceStatus.ISSUED,
        DOCUMENT,
        NOW,
        None,
    )


def test_an_invoice_stays_issued_when_its_mail_fails() -> None:
    assert (MAIL_FAILED.status, MAIL_FAILED.mail_status) == (InvoiceStatus.ISSUED, MailStatus.FAILED)
    assert MAIL_FAILED.failure == Failure(Step.MAIL, "451", 4)


def test_a_mail_sent_after_a_replay_clears_the_failure() -> None:
    invoice = MAIL_FAILED.record_mail()
    assert (invoice.mail_status, invoice.failure) == (MailStatus.SENT, None)


class InvoiceLife(RuleBasedStateMachine):
    """Any commands in any sequence: a refused command changes nothing, an issued invoice keeps its document."""

    def __init__(self) -> None:
        super().__init__()
        self.invoice = NEW
        self.was_issued = False

    @rule()
    def issue(self) -> None:
        self._try("issue")

    @rule()
    def fail_document(self) -> None:
        self._try("fail_document")

    @rule()
    def record_mail(self) -> None:
        self._try("record_mail")

    @rule()
    def fail_mail(self) -> None:
        self._try("fail_mail")

    @invariant()
    def an_issued_invoice_stays_issued_and_has_a_document(self) -> None:
        is_issued = self.invoice.status is InvoiceStatus.ISSUED
        assert is_issued or not self.was_issued
        assert is_issued == (self.invoice.document is not None) == (self.invoice.issued_at is not None)
        self.was_issued = is_issued

    @invariant()
    def no_invoice_is_mailed_before_it_is_issued(self) -> None:
        assert self.invoice.mail_status is MailStatus.PENDING or self.was_issued

    def _try(self, command: str) -> None:
        try:
            self.invoice = COMMANDS[command](self.invoice)
        except TransitionRefused:
            return


TestInvoiceLife = InvoiceLife.TestCase
TestInvoiceLife.settings = settings(max_examples=50, stateful_step_count=12)
