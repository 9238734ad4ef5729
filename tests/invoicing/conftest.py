"""The database of invoicing, and a mailbox and a renderer in separate processes."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from invoicing.document_store.folder import FolderDocumentStore
from invoicing.invoice_pdf.renderer import Renderer
from support.mail.mailbox import Mailbox, running_mailbox
from support.postgres.databases import Database, MakeDatabase


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database("invoicing")


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """One mailbox for all tests; each test uses its own address."""
    with running_mailbox(tmp_path_factory.mktemp("mailbox")) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def renderer() -> AsyncIterator[Renderer]:
    async with Renderer(timeout=15) as renderer:
        yield renderer


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """The folder of a test's PDFs."""
    return tmp_path / "invoices"


@pytest.fixture
def store(documents: Path) -> FolderDocumentStore:
    return FolderDocumentStore(documents)
