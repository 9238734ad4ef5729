"""Log-in with an API key, and log-out."""

import secrets

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.pages.answers import View
from console.pages.rendering import Rendering
from console.person import Credential, Person
from console.services.client import ApiError, ServiceDown
from console.session import forms
from console.session.cookies import SealedCookies
from console.session.identifying import Identifying, UnknownToSome
from console.session.sessions import Sessions
from console.session.throttle import Throttle

_COOKIE = "login"
_FORM_SECONDS = 3600
_ENDED = "Your session has ended, or a service no longer accepts your key."


class LogInPages:
    """The form has a token of its own, in a cookie: another site cannot log a person in with its own key."""

    def __init__(
        self,
        sessions: Sessions,
        cookies: SealedCookies,
        identifying: Identifying,
        rendering: Rendering,
        *,
        public_url: str | None,
        has_oidc: bool,
    ) -> None:
        self._sessions = sessions
        self._cookies = cookies
        self._identifying = identifying
        self._rendering = rendering
        self._public_url = public_url
        self._has_oidc = has_oidc
        self._throttle = Throttle()

    async def form(self, request: Request) -> Response:
        next_path = forms.local_path(request.query_params.get("next"))
        if self._sessions.current(request) is not None:
            return RedirectResponse(next_path, status_code=303)
        return self.page(request, next_path, _ENDED if "ended" in request.query_params else None)

    async def log_in(self, request: Request) -> Response:
        fields = await _fields(request)
        next_path = forms.local_path(fields.get("next"))
        content = self._cookies.read(request, _COOKIE)
        try:
            forms.check(
                request, fields, content["token"] if content is not None else secrets.token_hex(), self._public_url
            )
        except forms.ForeignForm:
            return self.page(request, next_path, "The form was too old or from another site. Try again.", 403)
        key = fields.get("api_key", "").strip()
        address = request.client.host if request.client is not None else "unknown"
        subjects = (f"address {address}", f"key {key.partition('.')[0][:255]}")
        wait = self._throttle.wait_seconds(*subjects)
        if wait > 0:
            message = f"Too many failed log-ins. Try again in {wait:.0f} s."
            response = self.page(request, next_path, message, 429)
            response.headers["Retry-After"] = f"{wait:.0f}"
            return response
        if not key or not key.isascii() or not key.isprintable():
            return self.page(request, next_path, "Enter an API key.", 422)
        try:
            person = await self._identifying.person(Credential("key", key), key.partition(".")[0], address)
        except ApiError as error:
            if error.status == 401:
                self._throttle.failed(*subjects)
                return self.page(request, next_path, "This API key is not valid.", 401)
            return self.page(request, next_path, error.message, error.status)
        except UnknownToSome as refusal:
            return self.page(request, next_path, str(refusal), 403)
        except ServiceDown as down:
            return self.page(request, next_path, down.message, 503)
        return self.welcome(request, person, next_path)

    def welcome(self, request: Request, person: Person, next_path: str, *, at_most: float | None = None) -> Response:
        """Begin the session. Raises `CookieTooLarge`."""
        response = RedirectResponse(next_path, status_code=303)
        self._sessions.begin(request, response, person, at_most=at_most)
        self._cookies.delete(request, response, _COOKIE)
        return response

    async def log_out(self, request: Request) -> Response:
        session = self._sessions.current(request)
        response = RedirectResponse("/login", status_code=303)
        if session is not None:
            try:
                forms.check(request, await _fields(request), session.form_token, self._public_url)
            except forms.ForeignForm:
                return RedirectResponse("/", status_code=303)
        self._sessions.end(request, response)
        return response

    def page(self, request: Request, next_path: str, error: str | None = None, status: int = 200) -> Response:
        token = secrets.token_urlsafe(24)
        content = {"error": error, "next": next_path, "form_token": token, "has_oidc": self._has_oidc}
        response = self._rendering.view(request, None, "Log in", View("log_in.html", content, status=status))
        self._cookies.write(request, response, _COOKIE, {"token": token}, seconds=_FORM_SECONDS)
        return response


async def _fields(request: Request) -> dict[str, str]:
    try:
        return await forms.fields_of(request)
    except ValueError:
        return {}
