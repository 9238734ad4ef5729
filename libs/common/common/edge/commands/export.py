"""Exports of lists as CSV or NDJSON: streamed page by page, and resumable after any row (ADR 28)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.access.auth import Caller
from common.aggregates.sorting import OLDEST_FIRST
from common.database.statements import Connection
from common.edge.admission.request_slots import RequestSlots
from common.edge.commands.export_formats import FORMATS, ExportFormat
from common.edge.requests.cursor import LONGEST_CURSOR, Cursors
from common.paging import Page, Paging
from common.service import Runtime

Result = TypeVar("Result")

# For the OpenAPI document.
EXPORT_RESPONSE = {
    "description": "A stream that ends with the last chunk.",
    "content": {
        "application/x-ndjson": {"schema": {"type": "string", "description": "A JSON object in each line."}},
        "text/csv": {"schema": {"type": "string", "description": "RFC 4180, in UTF-8."}},
    },
}
# A page takes some milliseconds of the event loop, on which other requests run between two pages.
ROWS_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """`cursor` is that of the last row which the client has; `format` is chosen by `Accept` if it is None."""

    format: ExportFormat | None
    cursor: str | None


def _options(
    output: Annotated[ExportFormat | None, Query(alias="format", description="Else by `Accept`; NDJSON.")] = None,
    cursor: Annotated[
        str | None,
        Query(
            max_length=LONGEST_CURSOR, description="The `cursor` of the last row that arrived, to continue after it."
        ),
    ] = None,
) -> ExportOptions:
    return ExportOptions(output, cursor)


ExportQuery = Annotated[ExportOptions, Depends(_options)]


class Export(Response, Generic[Result]):
    """A response with all rows of a list, oldest first. `page_after` finds the rows that follow a position.

    No connection is held while the client reads, and no more than a page is in memory. The first page is read before
    the response begins. If a later one fails, the connection is closed within the response: its end is missing, by
    which the client knows.
    """

    def __init__(
        self,
        request: Request,
        options: ExportOptions,
        page_after: Callable[[Connection, Paging], Awaitable[Page[Result]]],
        *,
        render: Callable[[Result], Any],
        members: Sequence[str],
        file_name: str,
    ) -> None:
        self._request = request
        self._options = options
        self._page_after = page_after
        self._render = render
        self._members = members
        self._format = ExportFormat.of(options.format, request.headers.get("accept", ""))
        self._file_name = file_name
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As an ASGI application. Raises `Problem` before the response begins."""
        slots: RequestSlots = self._request.app.state.export_slots
        cursors = Cursors(self._request)
        offset, after = cursors.parse(self._options.cursor) if self._options.cursor else (0, None)
        with slots.one_for(Caller.of(self._request)):
            scope["is_stream"] = True
            listener = asyncio.ensure_future(self._listen(receive))
            try:
                await self._send(scope, send, cursors, Paging(ROWS_AT_ONCE, offset, after))
            finally:
                listener.cancel()

    async def _send(self, scope: Scope, send: Send, cursors: Cursors, paging: Paging) -> None:
        encoding = FORMATS[self._format](self._members, is_resumed=paging.after is not None)
        page = await self._page(paging)
        headers = [
            (b"content-type", encoding.media_type.encode()),
            (b"content-disposition", f'attachment; filename="{self._file_name}.{self._format}"'.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        while scope["method"] != "HEAD" and not self._is_gone:
            rows = [
                (self._render(row), cursors.issue(number, OLDEST_FIRST.position(row)))
                for number, row in enumerate(page.rows, paging.offset + 1)
            ]
            await send({"type": "http.response.body", "body": encoding.encode(rows), "more_body": True})
            if not page.has_more:
                break
            paging = Paging(ROWS_AT_ONCE, paging.offset + len(rows), page.end)
            page = await self._page(paging)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _page(self, paging: Paging) -> Page[Result]:
        async with Runtime.of(self._request).reading() as connection:
            return await self._page_after(connection, paging)

    async def _listen(self, receive: Receive) -> None:
        """The server drops what is sent to a client that is gone."""
        while not self._is_gone:
            self._is_gone = (await receive())["type"] == "http.disconnect"
