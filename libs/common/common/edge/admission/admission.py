"""Admission of callers to guarded routes: a valid API key, requests left in the minute, a role that may call."""

from starlette.types import Scope

from common.access.auth import Caller, Role
from common.database.transactions import Pool
from common.edge.admission.key_attempts import KeyAttempts
from common.edge.admission.rate_limit import RateLimit
from common.edge.requests.headers import single_header
from common.errors import Code, Problem
from common.settings import ServiceSettings


class Admission:
    """One per application. The caller is stored in `scope["caller"]`, the rate limit's headers in
    `scope["rate_headers"]`."""

    def __init__(self, pool: Pool, settings: ServiceSettings) -> None:
        self._keys = KeyAttempts(pool, settings)
        self._rate_limit = RateLimit(settings.rate_limit_per_minute)

    async def admit(self, scope: Scope, roles: frozenset[Role]) -> None:
        """Raises `Problem` BAD_REQUEST for two keys, UNAUTHENTICATED, RATE_LIMITED or FORBIDDEN, in this order."""
        key = single_header(scope, b"x-api-key")
        if key is None:
            raise Problem(Code.UNAUTHENTICATED, "The header X-API-Key is missing.")
        ip_address = scope["client"][0] if scope.get("client") else None
        holder = self._keys.cached(key)
        if holder is None:
            holder = await self._keys.look_up(key, ip_address or "")
        caller = scope["caller"] = Caller(
            holder.prefix, holder.role, holder.customer_id, ip_address, scope["traceparent"]
        )
        allowance = self._rate_limit.hit(holder.prefix)
        if allowance is not None:
            scope["rate_headers"] = allowance.headers()
        if holder.role not in roles:
            raise caller.forbidden()
