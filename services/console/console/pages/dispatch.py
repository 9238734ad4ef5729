"""Calls the function of a page for the person who is logged in, and answers its errors with pages."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.pages.answers import View
from console.pages.page import Page
from console.pages.rendering import Rendering
from console.pages.sending_again import again
from console.pages.visit import Visit
from console.services.client import ApiError, ServiceDown
from console.services.monitoring import Monitoring
from console.services.services import ServiceConnections
from console.session import forms
from console.session.sessions import Session, Sessions

Endpoint = Callable[[Request], Awaitable[Response]]


class Dispatch:
    def __init__(
        self,
        sessions: Sessions,
        connections: ServiceConnections,
        monitoring: Monitoring,
        rendering: Rendering,
        *,
        public_url: str | None,
        trace_url_template: str | None,
    ) -> None:
        self._sessions = sessions
        self._connections = connections
        self._monitoring = monitoring
        self._rendering = rendering
        self._public_url = public_url
        self._trace_url_template = trace_url_template

    def endpoint(self, pages: Sequence[Page]) -> Endpoint:
        """Of all pages with one path, which have different methods."""
        by_method = {page.method: page for page in pages}

        async def handle(request: Request) -> Response:
            request.scope["page"] = pages[0].path
            page = by_method["GET" if request.method == "HEAD" else request.method]
            session = self._sessions.current(request)
            if session is None:
                return self.to_log_in(request, has_ended=self._sessions.has_cookie(request))
            return await self._show(request, session, page)

        return handle

    def to_log_in(self, request: Request, *, has_ended: bool) -> Response:
        """Redirect to the log-in page, which leads back to this page afterwards. With `has_ended`, or for a form or a
        polled part of a page, the log-in page says that the session has ended. A polled part replaces the whole
        page."""
        is_page = request.method in ("GET", "HEAD") and "hx-request" not in request.headers
        query = f"?{request.url.query}" if request.url.query else ""
        parameters = [f"next={quote(request.url.path + query)}"] if is_page else []
        if has_ended or not is_page:
            parameters.insert(0, "ended=1")
        address = f"/login?{'&'.join(parameters)}"
        if "hx-request" in request.headers:
            response = Response(status_code=401, headers={"HX-Redirect": address})
        else:
            response = RedirectResponse(address, status_code=303)
        self._sessions.end(request, response)
        return response

    async def _show(self, request: Request, session: Session, page: Page) -> Response:
        if not page.is_for(session.person.role):
            return self._error(request, session, 403, "Not allowed", _not_allowed(session))
        fields: dict[str, str] = {}
        if page.method != "GET":
            try:
                fields = await forms.fields_of(request)
                forms.check(request, fields, session.form_token, self._public_url)
            except forms.ForeignForm as error:
                return self._error(request, session, 403, "Form not accepted", str(error))
            except ValueError:
                return self._error(request, session, 400, "Form not accepted", "The form cannot be read.")
        services = self._connections.as_person(session.person)
        visit = Visit(request, session.person, services, self._monitoring, fields, self._trace_url_template)
        try:
            answer = await page.function(visit)
        except ApiError as error:
            return self._refused(request, session, error, fields)
        except ServiceDown as down:
            return self._error(request, session, 503, "A service does not answer", down.message, sent=fields)
        return self._rendering.answer(request, session, page.title, answer)

    def _refused(self, request: Request, session: Session, error: ApiError, fields: Mapping[str, str]) -> Response:
        if error.status == 401:
            return self.to_log_in(request, has_ended=True)
        titles = {403: "Not allowed", 404: "Not found", 429: "Too many requests"}
        title = titles.get(error.status, "The request was refused" if error.status < 500 else "A service failed")
        message = error.message
        if error.retry_after is not None:
            message += f" Try again in {error.retry_after} s."
        sent = fields if error.may_have_acted else None
        return self._error(request, session, error.status, title, message, error.problems, sent=sent)

    def not_found(self, request: Request) -> Response:
        session = self._sessions.current(request)
        if session is None:
            return self.to_log_in(request, has_ended=self._sessions.has_cookie(request))
        return self._error(request, session, 404, "Not found", "There is no page with this address.")

    def _error(
        self,
        request: Request,
        session: Session,
        status: int,
        title: str,
        message: str,
        problems: Sequence[str] = (),
        *,
        sent: Mapping[str, str] | None = None,
    ) -> Response:
        """`sent` are the fields of a form that may have acted."""
        lines = [each for each in problems if each != message]
        content = {"message": message, "problems": lines, "again": None if sent is None else again(request, sent)}
        return self._rendering.view(request, session, title, View("error.html", content, status=status))


def _not_allowed(session: Session) -> str:
    return f"The role {session.person.role} may not see this page or do this. Nothing was changed."
