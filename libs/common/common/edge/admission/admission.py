"""Admission of callers to guarded routes: a valid API key, requests left in the minute, a role that may call."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from starlette.types import Scope

from common.access.auth import Caller, Identity, Role
from common.access.authenticator import Authenticator, InvalidKey, split_key
from common.access.bearer.invalid_token import REALM, invalid_request
from common.access.key_uses import KeyUses
from common.component import Component
from common.database.transactions import Pool
from common.edge.admission.rate_limit import Allowance, RateLimit, TooManyRequests
from common.edge.admission.shared_rate_limit import SharedRateLimit
from common.edge.problems.problem_details import API_KEY_CHALLENGE
from common.edge.requests.headers import single_header
from common.errors import Code, Problem
from common.settings import ServiceSettings

if TYPE_CHECKING:
    from common.access.bearer.bearer_tokens import BearerTokens


class Admission:
    """One per application. The caller is stored in `scope["caller"]`, the rate limit's headers in
    `scope["rate_headers"]`."""

    def __init__(self, pool: Pool, settings: ServiceSettings) -> None:
        self._authenticator = Authenticator(pool, settings.api_key_cache_seconds, issuer=settings.jwt_issuer or "")
        self._attempts = _KeyAttempts(self._authenticator, settings.rate_limit_per_minute)
        self._rate_limit = RateLimit(settings.rate_limit_per_minute)
        self._limit = settings.rate_limit_per_minute
        self._shared_limit = SharedRateLimit(pool) if settings.rate_limit_shared else None
        self._key_uses = KeyUses()
        self._tokens = _bearer_tokens(settings)

    def components(self, pool: Pool) -> Iterator[Component]:
        yield self._key_uses.component(pool)
        if self._shared_limit is not None:
            yield self._shared_limit.component

    async def admit(self, scope: Scope, roles: frozenset[Role]) -> None:
        """Raises `Problem` BAD_REQUEST for two credentials, UNAUTHENTICATED, RATE_LIMITED or FORBIDDEN, in this order,
        and UNAVAILABLE when a credential cannot be checked."""
        ip_address = scope["client"][0] if scope.get("client") else None
        who = await self._identify(scope, ip_address)
        caller = scope["caller"] = Caller(
            who.id, who.name, who.role, who.customer_id, ip_address, scope["traceparent"], who.scope
        )
        try:
            allowance = await self._count(who)
        except TooManyRequests as refusal:
            scope["rate_headers"] = refusal.allowance.headers()
            raise
        if allowance is not None:
            scope["rate_headers"] = allowance.headers()
        if who.role not in roles:
            raise caller.forbidden()

    async def _identify(self, scope: Scope, ip_address: str | None) -> Identity:
        key = single_header(scope, b"x-api-key")
        if self._tokens is not None and (authorization := single_header(scope, b"authorization")) is not None:
            if key is not None:
                raise invalid_request("X-API-Key and Authorization must not be given together.")
            return await self._tokens.identify(authorization)
        if key is None:
            raise self._missing()
        holder = self._authenticator.cached(key)
        if holder is None:
            holder = await self._attempts.look_up(key, ip_address or "")
        self._key_uses.add(holder.name)
        return holder

    def _missing(self) -> Problem:
        if self._tokens is None:
            return Problem(Code.UNAUTHENTICATED, "The header X-API-Key is missing.")
        return Problem(
            Code.UNAUTHENTICATED,
            "The headers X-API-Key and Authorization are missing: one is needed.",
            challenge=f"{API_KEY_CHALLENGE}, {REALM}",
        )

    async def _count(self, who: Identity) -> Allowance | None:
        """None when there is no limit. This process counts on its own too, for the time when the shared limit fails."""
        shared_allowance = None
        if self._shared_limit is not None:
            limit = self._limit if who.rate_limit is None else who.rate_limit
            shared_allowance = await self._shared_limit.take(who.scope, limit) if limit else None
        own_allowance = self._rate_limit.hit(who.scope, who.rate_limit)
        return shared_allowance or own_allowance


def _bearer_tokens(settings: ServiceSettings) -> "BearerTokens | None":
    if settings.jwt_issuer is None:
        return None
    from common.access.bearer.bearer_tokens import BearerTokens  # cryptography and an HTTP client: only where needed

    return BearerTokens.configured(settings)


class _KeyAttempts:
    """Look-ups of API keys, with a limit for wrong ones (ADR 21).

    Limits guessing of keys, without locking out other callers of the same IP address: behind a proxy that the
    settings do not name, all clients have one address.

    - Wrong secrets of an existing key are counted by address and key. After too many in a minute that key is no longer
      looked up for that address, unless its last look-up was successful.
    - Unknown keys are counted by address. After too many in a minute all keys of that address which are not cached are
      looked up together, with one query in a tenth of a second.
    """

    def __init__(self, authenticator: Authenticator, limit: int) -> None:
        self._authenticator = authenticator
        self._wrong_secrets, self._unknown_keys = RateLimit(limit), RateLimit(limit)

    async def look_up(self, key: bytes, ip_address: str) -> Identity:
        """Raises `Problem` UNAUTHENTICATED or RATE_LIMITED."""
        if self._authenticator.was_valid(key):
            return await self._authenticator.look_up(key)
        try:
            prefix, _ = split_key(key)
            self._wrong_secrets.check(_key_at(prefix, ip_address))
            return await self._authenticator.look_up(key, together=self._unknown_keys.is_full(ip_address))
        except InvalidKey as invalid:
            if invalid.prefix is None:
                self._unknown_keys.hit(ip_address)
            else:
                self._wrong_secrets.hit(_key_at(invalid.prefix, ip_address))
            raise


def _key_at(prefix: str, ip_address: str) -> str:
    return f"{prefix} {ip_address}"
