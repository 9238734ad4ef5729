"""Look-ups of API keys, with a limit for wrong ones (docs/adr/0021)."""

from common.access.authenticator import Authenticator, InvalidKey, KeyHolder, split_key
from common.database.transactions import Pool
from common.edge.admission.rate_limit import RateLimit
from common.settings import ServiceSettings


class KeyAttempts:
    """Limits guessing of keys, without locking out other callers of the same IP address: behind a proxy that the
    settings do not name, all clients have one address.

    - Wrong secrets of an existing key are counted by address and key. After too many in a minute that key is no longer
      looked up for that address, unless its last look-up was successful.
    - Unknown keys are counted by address. After too many in a minute all keys of that address which are not cached are
      looked up together, with one query in a tenth of a second.
    """

    def __init__(self, pool: Pool, settings: ServiceSettings) -> None:
        self._authenticator = Authenticator(pool, settings.api_key_cache_seconds)
        self._wrong_secrets = RateLimit(settings.rate_limit_per_minute)
        self._unknown_keys = RateLimit(settings.rate_limit_per_minute)

    def cached(self, key: bytes) -> KeyHolder | None:
        """The key's holder if it is in the cache."""
        return self._authenticator.cached(key)

    async def look_up(self, key: bytes, ip_address: str) -> KeyHolder:
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
