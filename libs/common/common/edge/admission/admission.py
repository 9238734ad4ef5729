"""Who is behind an API key, and how often wrong ones may be tried (ADR 21)."""

from common.access.auth import Authenticator, InvalidKey, KeyHolder, split_key
from common.database.transactions import Pool
from common.edge.admission.rate_limit import RateLimit
from common.settings import ServiceSettings


class Admission:
    """Stops whoever tries keys out, and nobody else that calls from the same address: behind a proxy that the settings
    do not name, all clients have one address.

    - Wrong secrets of a key that exists are counted by address and key. When there were too many in a minute, that key
      is not looked up for that address any more, unless it was good lately.
    - Keys that there are not are counted by address. When there were too many in a minute, all that come from it and
      are not known are looked up together, a query in a tenth of a second, whatever their number.
    """

    def __init__(self, pool: Pool, settings: ServiceSettings) -> None:
        self._authenticator = Authenticator(pool, settings.api_key_cache_seconds)
        self._wrong_secrets = RateLimit(settings.rate_limit_per_minute)
        self._unknown_keys = RateLimit(settings.rate_limit_per_minute)

    def known(self, presented: bytes) -> KeyHolder | None:
        """The key's holder when it was looked up lately: no waiting."""
        return self._authenticator.cached(presented)

    async def look_up(self, presented: bytes, ip_address: str) -> KeyHolder:
        """Raises `Problem` UNAUTHENTICATED or RATE_LIMITED."""
        if self._authenticator.was_valid(presented):
            return await self._authenticator.look_up(presented)
        try:
            prefix, _ = split_key(presented)
            self._wrong_secrets.check(_key_at(prefix, ip_address))
            return await self._authenticator.look_up(presented, together=self._unknown_keys.is_full(ip_address))
        except InvalidKey as invalid:
            if invalid.prefix is None:
                self._unknown_keys.hit(ip_address)
            else:
                self._wrong_secrets.hit(_key_at(invalid.prefix, ip_address))
            raise


def _key_at(prefix: str, ip_address: str) -> str:
    return f"{prefix} {ip_address}"
