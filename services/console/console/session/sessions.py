"""Sessions: who is logged in until when, in a sealed cookie. The console stores none, but knows those that ended."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.access.auth import Role
from starlette.requests import Request
from starlette.responses import Response

from console.person import Credential, Person
from console.session.cookies import SealedCookies

COOKIE = "session"
_MOST_ENDED = 100_000


@dataclass(frozen=True, slots=True)
class Session:
    """`form_token` is in every form of the session."""

    id: str
    person: Person
    form_token: str
    ends_at: float


class Sessions:
    def __init__(self, cookies: SealedCookies, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._cookies = cookies
        self._seconds = seconds
        self._clock = clock
        self._ended: dict[str, float] = {}

    def current(self, request: Request) -> Session | None:
        content = self._cookies.read(request, COOKIE)
        if content is None or content["id"] in self._ended:
            return None
        credential = Credential(content["kind"], content["secret"])
        ip_address = request.client.host if request.client is not None else None
        person = Person(content["person"], Role(content["role"]), credential, ip_address, content.get("actor_id"))
        return Session(content["id"], person, content["form_token"], content["ends_at"])

    def has_cookie(self, request: Request) -> bool:
        """Whether the browser has had a session, which may have ended."""
        return self._cookies.is_sent(request, COOKIE)

    def begin(self, request: Request, response: Response, person: Person, *, at_most: float | None = None) -> None:
        """A session with a new id and form token, whatever cookies the browser had (no fixation); `at_most` seconds.

        Raises `CookieTooLarge`."""
        old = self.current(request)
        seconds = min(self._seconds, self._seconds if at_most is None else at_most)
        content = {
            "id": secrets.token_urlsafe(16),
            "form_token": secrets.token_urlsafe(24),
            "kind": person.credential.kind,
            "secret": person.credential.secret,
            "person": person.name,
            "role": person.role,
            "actor_id": person.actor_id,
            "ends_at": self._clock() + seconds,
        }
        self._cookies.write(request, response, COOKIE, content, seconds=seconds)
        if old is not None:
            self._forget(old)

    def end(self, request: Request, response: Response) -> None:
        """Also for a copy of the cookie, in this process, until it would end by itself."""
        session = self.current(request)
        if session is not None:
            self._forget(session)
        self._cookies.delete(request, response, COOKIE)

    def _forget(self, session: Session) -> None:
        now = self._clock()
        if len(self._ended) >= _MOST_ENDED:
            self._ended = {each: ends for each, ends in self._ended.items() if ends > now}
        self._ended[session.id] = session.ends_at
