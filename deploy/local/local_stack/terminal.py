"""Output of the command line: a line with the duration of each step, then addresses and keys."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from local_stack.stack_json import StackDescription


class Terminal:
    """Colours, a spinner and tables on a terminal; plain lines with the same content in a pipe or file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("", spinner="dots")
        self._running: list[str] = []
        self._started = time.monotonic()

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        with self._status:
            yield

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show the step while it runs, and its duration when it has succeeded. Steps may overlap."""
        start = time.monotonic()
        self._running.append(title)
        self._show_running()
        try:
            yield
            self.say(f"[green]✓[/] {title:<34}[dim]{time.monotonic() - start:6.1f} s[/]")
        finally:
            self._running.remove(title)
            self._show_running()

    def ready(self, stack: StackDescription, folder: Path) -> None:
        seconds = time.monotonic() - self._started
        self.say("")
        self._rows("Addresses", [
            ("console", stack["console"]["url"]),
            ("gateway", stack["gateway"]["url"]),
            *((service, address["url"]) for service, address in stack["services"].items()),
            ("payment sandbox", stack["payment_sandbox"]["url"]),
            ("mailbox", stack["mailbox"]["url"]),
            ("Kafka", stack["kafka"]["bootstrap"]),
            *((f"database {name}", dsn) for name, dsn in stack["databases"].items()),
            ("documents", stack["documents"]),
        ])  # fmt: skip
        self._rows("X-API-Key", list(stack["api_keys"].items()))
        self.say(
            f"[bold green]Ready in {seconds:.1f} s.[/] Data and logs are in {folder}. Ctrl-C stops; the data stays."
        )

    def say(self, text: str) -> None:
        # A closed terminal must not prevent the stack from stopping its processes in order.
        with contextlib.suppress(OSError):
            self._console.print(text, highlight=False, soft_wrap=True)

    def _rows(self, title: str, rows: list[tuple[str, str]]) -> None:
        if not self._console.is_terminal:
            for name, value in rows:
                self.say(f"{name:<18} {value}")
            return
        table = Table(title=title, title_justify="left", title_style="bold", show_header=False, border_style="dim")
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(overflow="fold")
        for row in rows:
            table.add_row(*row)
        with contextlib.suppress(OSError):
            self._console.print(table)

    def _show_running(self) -> None:
        self._status.update(Text(", ".join(self._running), style="dim", no_wrap=True, overflow="ellipsis"))
