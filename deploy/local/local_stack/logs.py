"""A new log file for each run; the last run's is kept beside it."""

from pathlib import Path


def keep_last_logs(folder: Path) -> None:
    for log in folder.glob("*.log"):
        log.replace(log.with_suffix(".log.last"))
