"""The port to a document store: store a document once, and read it."""

import hashlib
from typing import Protocol
from uuid import UUID

from invoicing.domain.invoice import Document


class DamagedDocument(Exception):
    """The stored document is missing or has other bytes than were stored."""


class DocumentStore(Protocol):
    async def put(self, invoice_id: UUID, content: bytes) -> Document:
        """Store durably under this id, once; returns the document that is stored now. Raises `OSError`."""
        ...

    async def get(self, invoice_id: UUID, document: Document) -> bytes:
        """The document's bytes. Raises `DamagedDocument`, or `OSError` when the store cannot be reached."""
        ...


def describe(content: bytes) -> Document:
    return Document(hashlib.sha256(content).hexdigest(), len(content))


def require_intact(invoice_id: UUID, content: bytes, document: Document) -> bytes:
    if describe(content) != document:
        raise DamagedDocument(f"the document of invoice {invoice_id} is not the one that was stored")
    return content
