"""Log files: one per process and run, with that of the previous run beside it."""

from pathlib import Path


def keep_previous_logs(folder: Path) -> None:
    for log in folder.glob("*.log"):
        log.replace(log.with_suffix(".log.last"))


def printable(text: str) -> str:
    """The text with control characters escaped, except line ends and tabs.

    A log repeats what clients sent, which must not control a terminal.
    """
    return "".join(char if char.isprintable() or char in "\n\t" else ascii(char)[1:-1] for char in text)
