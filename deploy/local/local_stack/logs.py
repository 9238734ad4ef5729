"""A new log file for each run; the last run's is kept beside it. What a log holds may be shown on a terminal."""

from pathlib import Path


def keep_last_logs(folder: Path) -> None:
    for log in folder.glob("*.log"):
        log.replace(log.with_suffix(".log.last"))


def printable(text: str) -> str:
    """The text with control characters but line ends and tabs written out, as `\\x1b`: a log repeats what clients sent,
    and that must not steer a terminal."""
    return "".join(each if each.isprintable() or each in "\n\t" else ascii(each)[1:-1] for each in text)
