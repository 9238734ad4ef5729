"""The files that `/docs` loads, from memory.

They are the largest responses that need no key. Starlette reads a file in a thread, 64 KiB at a time: a hundred clients
that do not read their responses would block a process (ADR 0017).
"""

from collections.abc import Awaitable, Callable
from functools import cache
from mimetypes import guess_type
from pathlib import Path

from fastapi import APIRouter, Response

from common.access.auth import open_to_all
from common.edge.routing.guarded_route import GuardedRoute

# A browser requests the file again after a day.
_HEADERS = {"Cache-Control": "public, max-age=86400"}


def static_router(prefix: str, folder: Path) -> APIRouter:
    """A route for each file of the folder; a file is read at its first request."""
    router = APIRouter(prefix=prefix, route_class=GuardedRoute, include_in_schema=False)
    for file in sorted(folder.iterdir()):
        router.get(f"/{file.name}")(_endpoint(file))
    return router


def _endpoint(file: Path) -> Callable[[], Awaitable[Response]]:
    media_type, _ = guess_type(file.name)

    @open_to_all
    async def endpoint() -> Response:
        return Response(_content(file), headers=_HEADERS, media_type=media_type)

    return endpoint


@cache
def _content(file: Path) -> bytes:
    return file.read_bytes()
