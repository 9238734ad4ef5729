"""Whole-file writes that survive a crash at any instant."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace the file; on return the new content is on disk, and a crash before that leaves the old one whole."""
    unfinished = path.with_name(f".{path.name}.tmp")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    # The rename itself is only durable once the directory is.
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
