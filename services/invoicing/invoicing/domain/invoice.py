"""An invoice and its state machine: the document is issued, then the e-mail is sent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self
from uuid import UUID

PDF = "application/pdf"


class InvoiceStatus(StrEnum):
    """Issued means numbered and stored; a failed invoice keeps its number until a replay succeeds."""

    PENDING = "PENDING"
    ISSUED = "ISSUED"
    FAILED = "FAILED"


class MailStatus(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    NO_ADDRESS = "NO_ADDRESS"


class Step(StrEnum):
    """The steps that can fail permanently: making the document, and sending the e-mail."""

    DOCUMENT = "document"
    MAIL = "mail"


class TransitionRefused(Exception):
    """The invoice's status does not allow this transition."""


@dataclass(frozen=True, slots=True)
class Document:
    """The stored PDF: its SHA-256 in hexadecimal and its length in bytes."""

    sha256: str
    size_bytes: int
    content_type: str = PDF


@dataclass(frozen=True, slots=True)
class Failure:
    """The latest permanent failure, until a replay succeeds; `attempts` counts all attempts up to it."""

    step: Step
    error: str
    attempts: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice per order, for ever. A change returns a new invoice, or raises `TransitionRefused`.

    `seller` is the seller's id; the number is unique for each seller.
    """

    id: UUID
    seller: str
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
