"""Makes responses of answers: the layout around a template, with the navigation of the person's role."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.pages.answers import Answer, Done, File, View
from console.pages.page import Page
from console.pages.templates import Templates
from console.session.cookies import SealedCookies
from console.session.sessions import Session

NOTICE = "notice"
_NOTICE_SECONDS = 60
_LONGEST_NOTICE = 1000


class Rendering:
    def __init__(self, templates: Templates, cookies: SealedCookies, pages: Sequence[Page]) -> None:
        self._templates = templates
        self._cookies = cookies
        self._navigation = [page for page in pages if page.in_navigation]

    def answer(self, request: Request, session: Session, title: str, answer: Answer) -> Response:
        match answer:
            case View():
                return self.view(request, session, title, answer)
            case Done(path, message):
                response = RedirectResponse(path, status_code=303)
                if message:
                    content = {"message": message[:_LONGEST_NOTICE]}
                    self._cookies.write(request, response, NOTICE, content, seconds=_NOTICE_SECONDS)
                return response
            case File(content, media_type, name):
                disposition = f"inline; filename*=UTF-8''{quote(name)}"
                return Response(content, media_type=media_type, headers={"Content-Disposition": disposition})

    def view(self, request: Request, session: Session | None, title: str, view: View) -> Response:
        """Without a session: a page for everybody, such as the log-in."""
        # A part of a page has no place for the message: it stays for the next page.
        is_part = "hx-request" in request.headers
        notice = None if is_part else self._cookies.read(request, NOTICE)
        page = {
            "title": view.title or title,
            "person": None if session is None else session.person,
            "form_token": None if session is None else session.form_token,
            "navigation": self._entries(request, session),
            "notice": None if notice is None else notice["message"],
            **view.content,
        }
        response = HTMLResponse(self._templates.render(view.template, page), status_code=view.status)
        if notice is not None:
            self._cookies.delete(request, response, NOTICE)
        return response

    def _entries(self, request: Request, session: Session | None) -> list[Mapping[str, Any]]:
        if session is None:
            return []
        role, path = session.person.role, request.url.path
        return [
            {
                "path": page.path,
                "title": page.title,
                "is_current": path == page.path or (page.path != "/" and path.startswith(f"{page.path}/")),
            }
            for page in self._navigation
            if page.is_for(role)
        ]
