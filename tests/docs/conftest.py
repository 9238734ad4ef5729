"""A folder like a checkout in which `make up` runs, for the commands in documents."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from support.processes.stack import MEASURED, new_stack
from support.project.documents import ROOT


@dataclass(frozen=True, slots=True)
class Checkout:
    folder: Path
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    """All files of the repository except `.local`, which has a separate stack with retries after seconds."""
    with TemporaryDirectory(prefix="articurated-docs-") as temporary:
        folder = Path(temporary)
        for each in ROOT.iterdir():
            if each.name not in {".git", ".local"}:
                (folder / each.name).symlink_to(each)
        with new_stack({"RETRY_UNIT_SECONDS": "0.1"}, folder / ".local"):
            yield Checkout(folder, {name: value for name, value in os.environ.items() if name != MEASURED})
