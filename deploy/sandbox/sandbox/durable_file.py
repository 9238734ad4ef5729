"""Atomic and durable replacement of a file."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace the file. On return, the new content is on disk; after a crash before that, the old one is intact."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    # The rename is durable only after fsync of the folder.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
