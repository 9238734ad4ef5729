"""Private files: readable by their owner only, replaced atomically."""

import json
import os
from pathlib import Path
from typing import TypeVar, cast

Content = TypeVar("Content")


def write_private(path: Path, text: str) -> None:
    """Replace the file by one of mode 0600. A concurrent reader sees the old text or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    partial.replace(path)


def read_json(path: Path, default: Content) -> Content:
    """The content of a JSON file, or the default if there is no file."""
    return cast(Content, json.loads(path.read_text())) if path.exists() else default
