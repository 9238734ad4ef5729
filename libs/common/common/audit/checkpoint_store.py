"""Checkpoints outside the database: files of a folder, which are created once and never replaced."""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from common.audit.checkpoint import Checkpoint
from common.settings import ServiceSettings


class CheckpointConflict(Exception):
    """Another checkpoint of this log and size is stored: the log was rewritten, or restored from an older backup."""


class CheckpointFolder:
    """`<folder>/<log>/<day>/<size>.txt`, one per size. The folder should be on another machine, or copied to one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self | None:
        """None if the settings have no folder."""
        folder = settings.audit_checkpoint_folder
        return None if folder is None else cls(folder)

    async def put(self, checkpoint: Checkpoint, note: str) -> None:
        """Store durably. Raises `CheckpointConflict`, or `OSError`."""
        await asyncio.to_thread(self._store_once, self._path(checkpoint), note)

    def other_logs(self, log: str) -> list[str]:
        """The logs of the same service with another id that have notes. Raises `OSError`."""
        service = log.rpartition("/")[0]
        names = sorted(f"{service}/{each.name}" for each in self._folder.joinpath(service).glob("*"))
        return [name for name in names if name != log and next(self.notes(name), None) is not None]

    def notes(self, log: str) -> Iterator[str]:
        """All notes of a log, day by day. Raises `OSError`."""
        for day in sorted(self._folder.joinpath(log).glob("*")):
            for file in sorted(day.glob("*.txt")):
                yield file.read_text(encoding="utf-8")

    def _path(self, checkpoint: Checkpoint) -> Path:
        return self._folder / checkpoint.log / f"{checkpoint.created_at:%Y-%m-%d}" / f"{checkpoint.size:012}.txt"

    def _store_once(self, path: Path, note: str) -> None:
        """A link is made only where there is no file yet, and then to a file that is complete and on disk."""
        for other in path.parent.parent.glob(f"*/{path.name}"):  # of whatever day: the days are not part of the log
            _require_same(other, note)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.unfinished")
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.write(note)
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
        _require_same(path, note)


def _require_same(path: Path, note: str) -> None:
    if path.read_text(encoding="utf-8") != note:
        raise CheckpointConflict(f"{path} has another checkpoint")
