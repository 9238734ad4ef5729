"""Mailpit's API and the HTML pages for the stored messages (https://mailpit.axllent.org/docs/api-v1/)."""

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sandbox.mailbox.message import StoredMessage, read_message
from sandbox.mailbox.page import render_list, render_message
from sandbox.mailbox.search import InvalidSearchError, parse_search
from sandbox.mailbox.store import MailStore

DEFAULT_LIMIT = 50
PAGE_LENGTH = 100
# A browser shows the content of a message without running its scripts.
UNTRUSTED = {"Content-Security-Policy": "sandbox", "X-Content-Type-Options": "nosniff"}


class MailboxApi:
    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._indexed: dict[str, tuple[dict[str, Any], str]] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/messages", self.list_messages, methods=["GET"]),
            Route("/api/v1/messages", self.delete_messages, methods=["DELETE"]),
            Route("/api/v1/search", self.search_messages),
            Route("/api/v1/message/{message_id}", self.show_message),
            Route("/api/v1/message/{message_id}/raw", self.show_raw),
            Route("/api/v1/message/{message_id}/part/{part_id}", self.show_part),
            Route("/", self.show_list_page),
            Route("/view/{message_id}", self.show_message_page),
        ]

    async def list_messages(self, request: Request) -> Response:
        return self._answer_page(request, self._store.ids())

    async def search_messages(self, request: Request) -> Response:
        try:
            matches = parse_search(request.query_params.get("query", ""))
        except InvalidSearchError as error:
            raise HTTPException(400, str(error)) from error
        return self._answer_page(
            request, [message_id for message_id in self._store.ids() if matches(*self._index(message_id))]
        )

    async def show_message(self, request: Request) -> Response:
        return JSONResponse(self._find(request).document())

    async def show_raw(self, request: Request) -> Response:
        return Response(self._read(request)[1], media_type="text/plain", headers=UNTRUSTED)

    async def show_part(self, request: Request) -> Response:
        try:
            content_type, content = self._find(request).part(request.path_params["part_id"])
        except KeyError as error:
            raise HTTPException(404, "no such part") from error
        return Response(content, headers=UNTRUSTED | {"Content-Type": content_type})

    async def delete_messages(self, request: Request) -> Response:
        """Delete the messages of `{"IDs": […]}`, or all messages without ids."""
        ids = _read_ids(await request.body())
        self._store.delete(ids or self._store.ids())
        self._indexed = {each: self._indexed[each] for each in self._store.ids() if each in self._indexed}
        return PlainTextResponse("ok")

    async def show_list_page(self, _: Request) -> Response:
        ids = self._store.ids()
        return HTMLResponse(render_list([self._index(message_id)[0] for message_id in ids[:PAGE_LENGTH]], len(ids)))

    async def show_message_page(self, request: Request) -> Response:
        return HTMLResponse(render_message(self._find(request).document()))

    def _answer_page(self, request: Request, ids: list[str]) -> Response:
        start, limit = _read_number(request, "start", 0), _read_number(request, "limit", DEFAULT_LIMIT)
        page = [self._index(message_id)[0] for message_id in ids[start : start + limit]]
        total = len(self._store.ids())  # all of them unread: the sandbox does not mark messages as read
        counts = {"total": total, "unread": total, "count": len(page)}
        counts |= {"messages_count": len(ids), "messages_unread": len(ids), "start": start}
        return JSONResponse(counts | {"tags": [], "messages": page})

    def _index(self, message_id: str) -> tuple[dict[str, Any], str]:
        """Summary and text, parsed at first use, so that the number of messages does not slow down the start."""
        if message_id not in self._indexed:
            message = read_message(message_id, self._store.read(message_id))
            self._indexed[message_id] = message.summary(), message.text
        return self._indexed[message_id]

    def _find(self, request: Request) -> StoredMessage:
        return read_message(*self._read(request))

    def _read(self, request: Request) -> tuple[str, bytes]:
        message_id = request.path_params["message_id"]
        try:
            return message_id, self._store.read(message_id)
        except KeyError as error:
            raise HTTPException(404, "message not found") from error


def _read_number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isascii() or not text.isdigit():
        raise HTTPException(400, f"{name} must be a whole number of at least 0")
    return int(text)


def _read_ids(body: bytes) -> list[str]:
    """Stricter than Mailpit, which deletes all messages when it cannot parse the body."""
    try:
        ids = json.loads(body)["IDs"] if body else []
    except (ValueError, TypeError, KeyError) as error:
        raise HTTPException(400, 'the body must be {"IDs": […]}') from error
    if not isinstance(ids, list) or not all(isinstance(message_id, str) for message_id in ids):
        raise HTTPException(400, "IDs must be a list of strings")
    return ids
