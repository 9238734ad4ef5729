"""Where documents are kept: a folder, or a bucket of an S3-compatible store.

A document is stored once. Whoever stores it again, after a crash for example, finds the one that is there: it was made
from the same frozen snapshot, so it is never replaced, not even by one that a later version draws differently.
"""

from invoicing.document_store.bucket import BucketDocumentStore
from invoicing.document_store.contract import DamagedDocument, DocumentStore
from invoicing.document_store.folder import FolderDocumentStore

__all__ = ["BucketDocumentStore", "DamagedDocument", "DocumentStore", "FolderDocumentStore"]
