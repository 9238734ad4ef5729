"""Storage of messages: one `.eml` file for each, named by the time of its arrival."""

import secrets
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from sandbox.durable_file import write_durably


class MailStore:
    """Ids are hexadecimal, contain the time of arrival and sort by it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._ids = {path.stem for path in folder.glob("[0-9a-f]*.eml")}

    def ids(self) -> list[str]:
        """Newest first."""
        return sorted(self._ids, reverse=True)

    def add(self, content: bytes) -> str:
        """Store a message durably and return its id. Thread-safe."""
        message_id = f"{time.time_ns():016x}{secrets.token_hex(3)}"
        write_durably(self._path(message_id), content)
        self._ids.add(message_id)
        return message_id

    def read(self, message_id: str) -> bytes:
        """Raises KeyError for an unknown id."""
        if message_id not in self._ids:
            raise KeyError(message_id)
        return self._path(message_id).read_bytes()

    def delete(self, message_ids: Collection[str]) -> None:
        """Ignores unknown ids."""
        for message_id in set(message_ids).intersection(self._ids):
            self._path(message_id).unlink()
            self._ids.remove(message_id)

    def _path(self, message_id: str) -> Path:
        return self._folder / f"{message_id}.eml"


def arrival_time(message_id: str) -> datetime:
    return datetime.fromtimestamp(int(message_id[:16], 16) / 1e9, UTC)
