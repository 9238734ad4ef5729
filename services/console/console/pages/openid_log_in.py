"""Log-in with an OpenID provider: to the provider, and back."""

from dataclasses import asdict, replace
from secrets import compare_digest

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from console.pages.log_in import LogInPages
from console.services.client import ApiError, ServiceDown
from console.session import forms
from console.session.cookies import CookieTooLarge, SealedCookies
from console.session.identifying import Identifying, UnknownToSome
from console.session.openid import LogInFailed, OpenIdProvider, Started

_COOKIE = "openid"
_SECONDS = 600


class OpenIdPages:
    def __init__(
        self, provider: OpenIdProvider, cookies: SealedCookies, identifying: Identifying, log_in: LogInPages
    ) -> None:
        self._provider = provider
        self._cookies = cookies
        self._identifying = identifying
        self._log_in = log_in

    async def start(self, request: Request) -> Response:
        """A link and no form: browsers apply the policy for forms to where a form is redirected too."""
        next_path = forms.local_path(request.query_params.get("next"))
        try:
            address, started = await self._provider.start()
        except LogInFailed as failure:
            return self._log_in.page(request, next_path, str(failure), 503)
        response = RedirectResponse(address, status_code=303)
        kept = {**asdict(started), "next": next_path}
        try:
            self._cookies.write(request, response, _COOKIE, kept, seconds=_SECONDS)
        except CookieTooLarge:  # a page with a long query: the person is logged in, and begins at the overview
            self._cookies.write(request, response, _COOKIE, {**kept, "next": "/"}, seconds=_SECONDS)
        return response

    async def finish(self, request: Request) -> Response:
        kept = self._cookies.read(request, _COOKIE)
        next_path = forms.local_path(None if kept is None else kept["next"])
        query = request.query_params
        if kept is None or not compare_digest(query.get("state", "").encode(), kept["state"].encode()):
            return self._failed(request, next_path, "This log-in was not started here, or is too old. Try again.", 403)
        if "code" not in query:
            return self._failed(request, next_path, "The provider did not log you in.", 403)
        started = Started(kept["state"], kept["nonce"], kept["verifier"])
        address = request.client.host if request.client is not None else None
        try:
            logged_in = await self._provider.finish(started, query["code"])
            person = await self._identifying.person(logged_in.credential, logged_in.name, address)
            person = replace(person, actor_id=logged_in.actor_id)
            response = self._log_in.welcome(request, person, next_path, at_most=logged_in.seconds)
        except LogInFailed as failure:
            return self._failed(request, next_path, str(failure), 403)
        except ApiError as error:
            return self._failed(request, next_path, f"The services do not accept you: {error.message}", 403)
        except UnknownToSome as refusal:
            return self._failed(request, next_path, str(refusal), 403)
        except ServiceDown as down:
            return self._failed(request, next_path, down.message, 503)
        except CookieTooLarge:
            message = "The provider's token is too large for a cookie: it must have fewer claims."
            return self._failed(request, next_path, message, 403)
        self._cookies.delete(request, response, _COOKIE)
        return response

    def _failed(self, request: Request, next_path: str, message: str, status: int) -> Response:
        response = self._log_in.page(request, next_path, message, status)
        self._cookies.delete(request, response, _COOKIE)
        return response
