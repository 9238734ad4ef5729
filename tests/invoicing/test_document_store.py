"""The document store writes a document once, completely and privately, and returns the same bytes."""

import asyncio
import os
import stat
import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from invoicing.document_store.bucket import BucketDocumentStore
from invoicing.document_store.folder import FolderDocumentStore
from invoicing.document_store.port import DamagedDocument, DocumentStore, describe
from obstore.store import MemoryStore

INVOICE = UUID("1a0f3a52-3f0e-4a40-9d5c-6e0f7d1b0001")
PDF = b"%PDF-1.4 an invoice"


@pytest.fixture(params=["folder", "bucket"])
def any_store(request: pytest.FixtureRequest, documents: Path) -> DocumentStore:
    if request.param == "folder":
        return FolderDocumentStore(documents)
    return BucketDocumentStore(MemoryStore())


async def test_a_stored_document_can_be_read(any_store: DocumentStore) -> None:
    document = await any_store.put(INVOICE, PDF)
    assert document.size_bytes == len(PDF)
    assert await any_store.get(INVOICE, document) == PDF


async def test_storing_again_never_replaces_the_existing_document(any_store: DocumentStore) -> None:
    first = await any_store.put(INVOICE, PDF)
    assert await any_store.put(INVOICE, PDF) == first
    assert await any_store.put(INVOICE, b"%PDF-1.4 drawn differently") == first
    assert await any_store.get(INVOICE, first) == PDF


async def test_of_many_concurrent_writers_one_stores_and_all_get_the_same_result(any_store: DocumentStore) -> None:
    digests = await asyncio.gather(*(any_store.put(INVOICE, PDF + str(writer).encode()) for writer in range(20)))
    assert len(set(digests)) == 1
    await any_store.get(INVOICE, digests[0])


async def test_a_missing_document_is_reported_as_missing(any_store: DocumentStore) -> None:
    document = await any_store.put(INVOICE, PDF)
    with pytest.raises(DamagedDocument, match="is missing"):
        await any_store.get(uuid4(), document)


async def test_a_document_with_other_bytes_is_never_returned(store: FolderDocumentStore, documents: Path) -> None:
    document = await store.put(INVOICE, PDF)
    file_of(documents).write_bytes(PDF + b" forged")
    with pytest.raises(DamagedDocument, match="not the one that was stored"):
        await store.get(INVOICE, document)


async def test_documents_are_readable_only_by_their_owner(store: FolderDocumentStore, documents: Path) -> None:
    await store.put(INVOICE, PDF)
    assert names(documents) == [f"{INVOICE}.pdf"]
    assert [mode(path) for path in (documents, file_of(documents))] == [0o700, 0o600]


async def test_a_full_disk_leaves_no_partial_document(
    store: FolderDocumentStore, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", no_room)
        with pytest.raises(OSError, match="No space left"):
            await store.put(INVOICE, PDF)
    assert names(documents) == []
    await store.put(INVOICE, PDF)


def test_an_old_temporary_file_of_a_crashed_writer_is_removed(documents: Path) -> None:
    documents.mkdir()
    old, recent = documents / ".old.unfinished", documents / ".recent.unfinished"
    for file in (old, recent):
        file.write_bytes(b"%PDF")
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    FolderDocumentStore(documents)
    assert names(documents) == [recent.name]


async def test_an_unreachable_bucket_fails_only_the_attempt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "ENDPOINT": "http://127.0.0.1:9",
        "ALLOW_HTTP": "true",
        "REGION": "nowhere",
        "ACCESS_KEY_ID": "nobody",
        "SECRET_ACCESS_KEY": "nothing",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    store = BucketDocumentStore.open("s3://articurated/invoices")
    with pytest.raises(OSError, match="could not be stored"):
        await store.put(INVOICE, PDF)
    with pytest.raises(OSError, match="could not be read"):
        await store.get(INVOICE, describe(PDF))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def file_of(folder: Path) -> Path:
    return folder / f"{INVOICE}.pdf"
