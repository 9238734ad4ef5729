"""Authentication by bearer token: the identity of a verified token, from a cache until the token ends."""

import hashlib
import time
from collections.abc import Callable

from common.access.auth import Identity
from common.access.bearer.claims import ClaimRules
from common.access.bearer.invalid_token import InvalidToken, invalid_request
from common.access.bearer.key_source import KeySource
from common.access.bearer.loading import from_file, from_url
from common.access.bearer.signed_token import SignedToken
from common.access.bearer.signing_keys import SigningKeys
from common.settings import ServiceSettings

CACHED_TOKENS_LIMIT = 10_000


class BearerTokens:
    """Verifies the tokens of one issuer. Only valid tokens are cached, by their digest, and only until the provider
    changes its keys: a token whose key was withdrawn is refused."""

    def __init__(
        self, keys: KeySource, rules: ClaimRules, algorithms: frozenset[str], clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._rules = rules
        self._algorithms = algorithms
        self._clock = clock
        self._known: dict[bytes, tuple[Identity, float]] = {}
        self._known_by: SigningKeys | None = None

    @classmethod
    def configured(cls, settings: ServiceSettings) -> "BearerTokens | None":
        """None where the settings name no issuer: then no token is accepted."""
        if settings.jwt_issuer is None or settings.jwt_audience is None:
            return None
        if settings.jwt_jwks_file is not None:
            load = from_file(settings.jwt_jwks_file)
        elif settings.jwt_jwks_url is not None:
            load = from_url(settings.jwt_jwks_url)
        else:
            return None
        keys = KeySource(
            load,
            cache_seconds=settings.jwt_jwks_cache_seconds,
            max_age_seconds=settings.jwt_jwks_max_age_seconds,
        )
        rules = ClaimRules(
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            leeway_seconds=settings.jwt_leeway_seconds,
            role_claim=settings.jwt_role_claim,
            customer_claim=settings.jwt_customer_claim,
            name_claim=settings.jwt_name_claim,
            customer_required=settings.jwt_customer_required,
        )
        return cls(keys, rules, frozenset(settings.jwt_algorithms.split(",")))

    async def identify(self, authorization: bytes) -> Identity:
        """The identity that the value of the header `Authorization` proves.

        Raises `Problem` UNAUTHENTICATED or BAD_REQUEST with the challenge of RFC 6750, FORBIDDEN for a token without a
        role, and UNAVAILABLE while the provider's keys cannot be read.
        """
        scheme, _, token = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            raise InvalidToken("Only API keys and bearer tokens are accepted.")
        token = token.strip(b" ")
        if not token:
            raise invalid_request("The header Authorization has no token.")
        digest = hashlib.sha256(token).digest()
        keys = self._keys.usable()
        if keys is not self._known_by:
            self._known.clear()
            self._known_by = keys
        entry = self._known.get(digest)
        if entry is not None and self._clock() < entry[1]:
            return entry[0]
        return await self._verify(token, digest)

    async def _verify(self, token: bytes, digest: bytes) -> Identity:
        signed = SignedToken.parse(token, self._algorithms)
        claims = signed.verify(await self._keys.find(signed.kid, signed.algorithm))
        valid_until = self._rules.valid_until(claims, self._clock())
        identity = self._rules.identity(claims)
        if len(self._known) >= CACHED_TOKENS_LIMIT:
            self._known.clear()
        self._known[digest] = (identity, valid_until)
        return identity
