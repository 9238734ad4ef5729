"""Admission of callers to guarded routes: a valid API key, requests left in the minute, a role that may call."""

from starlette.types import Scope

from common.access.auth import Caller, Identity, Role
from common.access.authenticator import Authenticator, InvalidKey, split_key
from common.access.key_uses import KeyUses
from common.component import Component
from common.database.transactions import Pool
from common.edge.admission.rate_limit import RateLimit
from common.edge.requests.headers import single_header
from common.errors import Code, Problem
from common.settings import ServiceSettings


class Admission:
    """One per application. The caller is stored in `scope["caller"]`, the rate limit's headers in
    `scope["rate_headers"]`."""

    def __init__(self, pool: Pool, settings: ServiceSettings) -> None:
        self._authenticator = Authenticator(pool, settings.api_key_cache_seconds)
        self._attempts = _KeyAttempts(self._authenticator, settings.rate_limit_per_minute)
        self._rate_limit = RateLimit(settings.rate_limit_per_minute)
        self._key_uses = KeyUses()

    def component(self, pool: Pool) -> Component:
        return self._key_uses.component(pool)

    async def admit(self, scope: Scope, roles: frozenset[Role]) -> None:
        """Raises `Problem` BAD_REQUEST for two keys, UNAUTHENTICATED, RATE_LIMITED or FORBIDDEN, in this order."""
        key = single_header(scope, b"x-api-key")
        if key is None:
            raise Problem(Code.UNAUTHENTICATED, "The header X-API-Key is missing.")
        ip_address = scope["client"][0] if scope.get("client") else None
        holder = self._authenticator.cached(key)
        if holder is None:
            holder = await self._attempts.look_up(key, ip_address or "")
        self._key_uses.add(holder.name)
        caller = scope["caller"] = Caller(
            holder.id, holder.name, holder.role, holder.customer_id, ip_address, scope["traceparent"], holder.scope
        )
        allowance = self._rate_limit.hit(holder.scope, holder.rate_limit)
        if allowance is not None:
            scope["rate_headers"] = allowance.headers()
        if holder.role not in roles:
            raise caller.forbidden()


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
