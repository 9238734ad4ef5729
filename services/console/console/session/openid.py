"""Log-in with an OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636)."""

import hashlib
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
from common.access.actors import subject_id
from common.access.bearer.claims import ClaimRules
from common.access.bearer.key_source import KeySource
from common.access.bearer.loading import from_url
from common.access.bearer.signed_token import SignedToken
from common.errors import Problem

from console.person import Credential

CALLBACK = "/login/callback"
_ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
_LEEWAY_SECONDS = 30
_CONFIGURATION_SECONDS = 300.0
_KEY_SECONDS, _OLDEST_KEY_SECONDS = 300.0, 3600.0
_ANSWER_SECONDS = 5.0


class LogInFailed(Exception):
    """Why the provider's answer is not accepted."""


@dataclass(frozen=True, slots=True)
class OpenIdSettings:
    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    bearer: Literal["access_token", "id_token"]
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Started:
    """What the browser keeps, sealed, until it comes back from the provider."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """`seconds`: how long the token is valid. `actor_id` is the person's in the services' audit trails."""

    credential: Credential
    name: str
    seconds: float
    actor_id: str


class OpenIdProvider:
    def __init__(
        self, http: httpx.AsyncClient, settings: OpenIdSettings, clock: Callable[[], float] = time.time
    ) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._configuration: tuple[Mapping[str, Any], KeySource, float] | None = None
        self._rules = ClaimRules(
            issuer=settings.issuer,
            audience=settings.client_id,
            leeway_seconds=_LEEWAY_SECONDS,
            role_claim="role",
            customer_claim="customer_id",
            name_claim="sub",
            customer_required=False,
        )

    async def start(self) -> tuple[str, Started]:
        """The address of the provider to which the browser is sent. Raises `LogInFailed`."""
        configuration, _ = await self._configured()
        started = Started(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))
        challenge = urlsafe_b64encode(hashlib.sha256(started.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_uri,
            "scope": self._settings.scopes,
            "state": started.state,
            "nonce": started.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = str(configuration["authorization_endpoint"])
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}", started

    async def finish(self, started: Started, code: str) -> LoggedIn:
        """Exchange the code, and check whom the provider's id token names. Raises `LogInFailed`."""
        configuration, keys = await self._configured()
        tokens = await self._exchange(str(configuration["token_endpoint"]), started, code)
        claims, seconds = await self._verified(str(tokens.get("id_token", "")), keys)
        if not secrets.compare_digest(str(claims.get("nonce", "")), started.nonce):
            raise LogInFailed("The token of the provider is for another log-in.")
        bearer = tokens.get(self._settings.bearer)
        if not isinstance(bearer, str):
            raise LogInFailed(f"The provider sent no {self._settings.bearer}.")
        if self._settings.bearer == "access_token" and isinstance(tokens.get("expires_in"), int | float):
            seconds = float(tokens["expires_in"])
        name = str(claims.get("preferred_username") or claims.get("name") or claims["sub"])
        actor_id = str(subject_id(self._settings.issuer, str(claims["sub"])))
        return LoggedIn(Credential("token", bearer), name[:100], seconds, actor_id)

    async def _exchange(self, endpoint: str, started: Started, code: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_uri,
            "code_verifier": started.verifier,
            "client_id": self._settings.client_id,
        }
        secret = self._settings.client_secret
        login = httpx.BasicAuth(self._settings.client_id, secret) if secret else httpx.Auth()
        try:
            response = await self._http.post(endpoint, data=form, auth=login, timeout=_ANSWER_SECONDS)
            document = response.json()
        except (httpx.HTTPError, ValueError):
            raise LogInFailed("The provider does not answer.") from None
        if response.status_code != 200 or not isinstance(document, dict):
            raise LogInFailed("The provider did not accept the log-in. Try again.")
        return document

    async def _verified(self, token: str, keys: KeySource) -> tuple[Mapping[str, Any], float]:
        """The claims of the id token, and how long it is valid."""
        try:
            signed = SignedToken.parse(token.encode(), _ALGORITHMS)
            claims = signed.verify(await keys.find(signed.kid, signed.algorithm))
            valid_until = self._rules.valid_until(claims, self._clock())
        except Problem as problem:
            raise LogInFailed(problem.message) from None
        if not isinstance(claims.get("sub"), str):
            raise LogInFailed("The token has no subject.")
        return claims, valid_until - _LEEWAY_SECONDS - self._clock()

    async def _configured(self) -> tuple[Mapping[str, Any], KeySource]:
        """The provider's own description (OpenID Connect Discovery 1.0), read again after some minutes."""
        if self._configuration is not None and self._clock() < self._configuration[2]:
            return self._configuration[:2]
        issuer = self._settings.issuer
        try:
            response = await self._http.get(
                f"{issuer.rstrip('/')}/.well-known/openid-configuration", timeout=_ANSWER_SECONDS
            )
            document = response.raise_for_status().json()
            wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            if document["issuer"] != issuer or not all(isinstance(document[each], str) for each in wanted):
                raise ValueError("is the description of another issuer")
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            raise LogInFailed("The provider does not answer, so only API keys can be used now.") from None
        keys = KeySource(
            from_url(document["jwks_uri"]), cache_seconds=_KEY_SECONDS, max_age_seconds=_OLDEST_KEY_SECONDS
        )
        self._configuration = (document, keys, self._clock() + _CONFIGURATION_SECONDS)
        return document, keys
