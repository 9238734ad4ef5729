"""How the demo looks on a terminal: a line a step with its time, then what is left to look at."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from local_stack.logs import printable
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

Tell = Callable[[str], None]


class Narrator:
    def __init__(self, console: Console) -> None:
        self._console = console

    def story(self, title: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{escape(title)}", align="left", style="dim")

    @asynccontextmanager
    async def step(self, deed: str, *, actor: str) -> AsyncIterator[Tell]:
        """A line that appears when the step is done, with what the step had to tell; a cross when it failed."""
        told: list[str] = []
        start = time.perf_counter()
        try:
            yield told.append
        except BaseException:
            self._line("[red]✗", actor, deed, "failed", start)
            raise
        self._line("[green]✓", actor, deed, "; ".join(told), start)

    def _line(self, mark: str, actor: str, deed: str, outcome: str, start: float) -> None:
        milliseconds = (time.perf_counter() - start) * 1000
        told = escape(printable(outcome))
        self._console.print(
            f"{mark}[/] [dim]{milliseconds:6.0f} ms[/]  [bold]{escape(actor)}[/] {escape(deed)}: {told}",
            soft_wrap=True,
        )

    def audit_trail(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            time_of_day = row["created_at"][11:23]
            refused = " [red](refused)[/]" if row["outcome"] == "REFUSED" else ""
            by = str(row["metadata"]["actor_name"]).split("_")[1] if row["actor_id"] else "system"
            change = f"{time_of_day}  {row['previous_state'] or '-'} →[/] {row['new_state']}{refused}"
            self._console.print(f"{'':15}[dim]{change} [dim]{by}[/]", soft_wrap=True)

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def closing(self, rows: Sequence[tuple[str, ...]], columns: Sequence[str]) -> None:
        # Ids stay whole in a narrow terminal.
        table = Table(*(Column(title, overflow="fold") for title in columns), header_style="bold")
        for row in rows:
            table.add_row(*(escape(printable(cell)) for cell in row))
        self._console.print()
        self._console.print(table)
