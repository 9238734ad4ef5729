"""The files that pages load: a style sheet, htmx, a script and an icon, from this address only."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

_TYPES = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
# Their addresses have a version, so browsers keep them.
_KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


class StaticFiles:
    def __init__(self) -> None:
        self._files: Mapping[str, bytes] = {name: (files("console") / "static" / name).read_bytes() for name in _TYPES}

    def address(self, name: str) -> str:
        return f"/static/{name}?v={sha256(self._files[name]).hexdigest()[:12]}"

    async def serve(self, request: Request) -> Response:
        request.scope["page"] = "/static"
        name = request.path_params["name"]
        if name not in self._files:
            return PlainTextResponse("There is nothing here.", status_code=404)
        return Response(self._files[name], media_type=_TYPES[name], headers=_KEPT)
