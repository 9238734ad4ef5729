"""Documents as files of one folder, readable by this user only."""

import asyncio
import contextlib
import os
import secrets
import time
from pathlib import Path
from uuid import UUID

from invoicing.document_store.port import DamagedDocument, describe, require_intact
from invoicing.domain.invoice import Document

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700
_ABANDONED_AFTER_SECONDS = 3600


class FolderDocumentStore:
    """Names are made of ids alone, so nothing from outside can lead out of the folder."""

    def __init__(self, folder: Path) -> None:
        """Creates the folder, and removes what crashed writers left behind. Raises `OSError`."""
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._folder = folder.resolve()
        for unfinished in self._folder.glob(".*.unfinished"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - unfinished.stat().st_mtime > _ABANDONED_AFTER_SECONDS:
                    unfinished.unlink()

    async def put(self, invoice_id: UUID, content: bytes) -> Document:
        return describe(await asyncio.to_thread(self._store_once, self._path(invoice_id), content))

    async def get(self, invoice_id: UUID, document: Document) -> bytes:
        try:
            content = await asyncio.to_thread(self._path(invoice_id).read_bytes)
        except FileNotFoundError:
            raise DamagedDocument(f"the document of invoice {invoice_id} is missing") from None
        return require_intact(invoice_id, content, document)

    def _path(self, invoice_id: UUID) -> Path:
        return self._folder / f"{invoice_id}.pdf"

    def _store_once(self, path: Path, content: bytes) -> bytes:
        """A link is made only where there is no file yet, and then to a file that is complete and on disk."""
        unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.unfinished")
        try:
            _write_durably(unfinished, content)
            os.link(unfinished, path)
        except FileExistsError:
            content = path.read_bytes()
        finally:
            unfinished.unlink(missing_ok=True)
        _sync(self._folder)
        return content


def _write_durably(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
