"""An invoice and its two steps: the document, then the e-mail."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self
from uuid import UUID

PDF = "application/pdf"


class InvoiceStatus(StrEnum):
    """Issued means numbered and stored; a failed one keeps its number until the cause is mended."""

    PENDING = "PENDING"
    ISSUED = "ISSUED"
    FAILED = "FAILED"


class MailStatus(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    NO_ADDRESS = "NO_ADDRESS"


class Step(StrEnum):
    """What can fail for good, each by itself: making the document, and sending it."""

    DOCUMENT = "document"
    MAIL = "mail"


class TransitionRefused(Exception):
    """The invoice is not in a state from which this can happen."""


@dataclass(frozen=True, slots=True)
class Document:
    """The stored PDF: its SHA-256 in hexadecimal and its length in bytes."""

    sha256: str
    size_bytes: int
    content_type: str = PDF


@dataclass(frozen=True, slots=True)
class Failure:
    """The latest final failure that was not mended yet; `attempts` counts all tries up to it."""

    step: Step
    error: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice per order, for ever. Its commands return the changed invoice or raise `TransitionRefused`."""

    id: UUID
    number: str
    order_id: UUID
    order_number: str
    customer_id: UUID
    currency: str
    net_amount: Decimal
    tax_amount: Decimal
    total_amount: Decimal
    status: InvoiceStatus
    mail_status: MailStatus
    created_at: datetime
    issued_at: datetime | None = None
    document: Document | None = None
    failure: Failure | None = None

    def issue(self, document: Document, at: datetime) -> Self:
        self._require(_ISSUABLE, "issued")
        return replace(self, status=InvoiceStatus.ISSUED, issued_at=at, document=document, failure=None)

    def fail_document(self, error: str, attempts: int) -> Self:
        self._require(_ISSUABLE, "failed")
        return replace(self, status=InvoiceStatus.FAILED, failure=Failure(Step.DOCUMENT, error, attempts))

    def record_mail(self) -> Self:
        self._require(_MAILABLE, "mailed")
        return replace(self, mail_status=MailStatus.SENT, failure=None)

    def fail_mail(self, error: str, attempts: int) -> Self:
        self._require(_MAILABLE, "failed to be mailed")
        return replace(self, mail_status=MailStatus.FAILED, failure=Failure(Step.MAIL, error, attempts))

    def _require(self, allowed: Mapping[InvoiceStatus, frozenset[MailStatus]], happening: str) -> None:
        if self.mail_status not in allowed.get(self.status, ()):
            raise TransitionRefused(
                f"{self.number} is {self.status}, mail {self.mail_status}: it cannot be {happening}"
            )


_NOT_MAILED = frozenset({MailStatus.PENDING, MailStatus.NO_ADDRESS})
_ISSUABLE = {InvoiceStatus.PENDING: _NOT_MAILED, InvoiceStatus.FAILED: _NOT_MAILED}
_MAILABLE = {InvoiceStatus.ISSUED: frozenset({MailStatus.PENDING, MailStatus.FAILED})}
