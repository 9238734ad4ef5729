"""Documents as objects of a bucket, S3 or any store that speaks its protocol."""

from datetime import timedelta
from typing import TYPE_CHECKING, Self
from uuid import UUID

from invoicing.document_store.port import DamagedDocument, describe, require_intact
from invoicing.domain.invoice import Document

if TYPE_CHECKING:
    from obstore.store import ObjectStore, RetryConfig

# Few and quick retries: longer waits are left to the schedule of the job.
_RETRIES: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


class BucketDocumentStore:
    def __init__(self, bucket: "ObjectStore") -> None:
        self._bucket = bucket

    @classmethod
    def open(cls, url: str) -> Self:
        """`s3://bucket/prefix`; key, region and endpoint come from the usual variables (`AWS_ACCESS_KEY_ID`, …)."""
        from obstore.store import from_url

        return cls(from_url(url, client_options={"timeout": "8s"}, retry_config=_RETRIES))

    async def put(self, invoice_id: UUID, content: bytes) -> Document:
        """The store itself refuses a second object of the same name (a conditional write, `If-None-Match: *`)."""
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            await self._bucket.put_async(_name(invoice_id), content, mode="create")
        except AlreadyExistsError:
            content = await self._read(invoice_id)
        except BaseError as error:
            raise OSError(f"the document could not be stored: {error}") from error
        return describe(content)

    async def get(self, invoice_id: UUID, document: Document) -> bytes:
        return require_intact(invoice_id, await self._read(invoice_id), document)

    async def _read(self, invoice_id: UUID) -> bytes:
        from obstore.exceptions import BaseError

        try:
            found = await self._bucket.get_async(_name(invoice_id))
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            raise DamagedDocument(f"the document of invoice {invoice_id} is missing") from None
        except BaseError as error:
            raise OSError(f"the document could not be read: {error}") from error


def _name(invoice_id: UUID) -> str:
    return f"{invoice_id}.pdf"
