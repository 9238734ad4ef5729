"""Sealed cookies: JSON that only the console can read and make (JWE with A256GCM), which ends at a time."""

import json
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

_ALGORITHMS = ["dir", "A256GCM"]
# What every browser stores of one cookie, with its name and attributes (RFC 6265, 6.1).
_LARGEST = 3900


class CookieTooLarge(Exception):
    """The content does not fit into a cookie."""


class SealedCookies:
    """Each cookie has a name, which is sealed with its content: one cannot be sent in place of another."""

    def __init__(self, key: SecretStr, public_url: str | None, clock: Callable[[], float] = time.time) -> None:
        """Cookies are `Secure` if `public_url` begins with `https:`, or without a `public_url` if the request came over
        HTTPS."""
        self._key = OctKey.import_key(b64decode(key.get_secret_value()))
        self._public_url = public_url
        self._clock = clock

    def is_sent(self, request: Request, name: str) -> bool:
        """Whether the browser has sent such a cookie, valid or not."""
        return self._full_name(request, name) in request.cookies

    def read(self, request: Request, name: str) -> dict[str, Any] | None:
        """The content; None for a cookie that is missing, was changed, or has ended."""
        sealed = request.cookies.get(self._full_name(request, name))
        if sealed is None:
            return None
        try:
            plain = jwe.decrypt_compact(sealed, self._key, algorithms=_ALGORITHMS).plaintext
            content = json.loads(plain or b"")
        except (JoseError, ValueError, TypeError):
            return None
        if content.get("name") != name or self._clock() >= content["ends"]:
            return None
        return dict(content["content"])

    def write(
        self, request: Request, response: Response, name: str, content: Mapping[str, Any], *, seconds: float
    ) -> None:
        """Raises `CookieTooLarge`."""
        document = {"name": name, "ends": self._clock() + seconds, "content": content}
        header = {"alg": "dir", "enc": "A256GCM"}
        sealed = jwe.encrypt_compact(header, json.dumps(document).encode(), self._key, algorithms=_ALGORITHMS)
        if len(sealed) > _LARGEST:
            raise CookieTooLarge
        # Lax and not Strict: a link to the console from a mail or a chat must find the person logged in. Changes are
        # protected by the form's token and the Origin.
        response.set_cookie(
            self._full_name(request, name),
            sealed,
            max_age=int(seconds),
            path="/",
            secure=self._is_secure(request),
            httponly=True,
            samesite="lax",
        )

    def delete(self, request: Request, response: Response, name: str) -> None:
        if self.is_sent(request, name):
            secure = self._is_secure(request)
            response.delete_cookie(self._full_name(request, name), secure=secure, httponly=True, samesite="lax")

    def _full_name(self, request: Request, name: str) -> str:
        """With the prefix, the browser takes the cookie from this host over HTTPS only."""
        return f"__Host-console-{name}" if self._is_secure(request) else f"console-{name}"

    def _is_secure(self, request: Request) -> bool:
        return (self._public_url or str(request.url)).startswith("https://")
