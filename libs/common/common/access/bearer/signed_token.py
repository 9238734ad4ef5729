"""A JWT in its compact form: the checks of its header, and of its signature (RFC 7515, RFC 8725)."""

import re
from base64 import urlsafe_b64decode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry, deserialize_compact

from common.access.bearer.invalid_token import InvalidToken
from common.access.bearer.signing_keys import SigningKey
from common.access.bearer.strict_json import decode_object

# Tokens with many roles or groups have some 4 KiB.
LONGEST_TOKEN = 8192
_COMPACT = re.compile(rb"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_TYPES = {"jwt", "at+jwt", "application/at+jwt"}


class _Pinned(JWSRegistry):
    """Exactly the configured algorithms, and without a warning that EdDSA is named otherwise since RFC 9864."""

    max_header_length = LONGEST_TOKEN

    def get_alg(self, name: str) -> Any:
        if self.allowed is None or name not in self.allowed:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token whose header is acceptable; the signature is not checked yet."""

    token: bytes
    algorithm: str
    kid: str | None

    @classmethod
    def parse(cls, token: bytes, algorithms: Collection[str]) -> "SignedToken":
        """Raises `InvalidToken`. Keys and addresses of keys that the header may have (`jwk`, `jku`, `x5u`) are ignored.
        An extension that must be understood (`crit`) is not."""
        if len(token) > LONGEST_TOKEN:
            raise InvalidToken(f"The token has more than {LONGEST_TOKEN} bytes.")
        if not _COMPACT.fullmatch(token):
            raise InvalidToken("The token is not a signed JWT.")
        header = _part(token.partition(b".")[0])
        algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
        if not isinstance(algorithm, str) or algorithm not in algorithms:
            raise InvalidToken("The algorithm of the token is not accepted.")
        if "crit" in header or "b64" in header:
            raise InvalidToken("The token needs an extension that is not supported.")
        if not isinstance(kind, str) or kind.lower() not in _TYPES:
            raise InvalidToken("The type of the token is not that of an access token.")
        if kid is not None and not isinstance(kid, str):
            raise InvalidToken("The key id of the token is not a text.")
        return cls(token, algorithm, kid)

    def verify(self, key: SigningKey) -> dict[str, Any]:
        """The claims. Raises `InvalidToken`."""
        registry = _Pinned(algorithms=[self.algorithm], strict_check_header=False)
        try:
            deserialize_compact(self.token, key, registry=registry)
        except (JoseError, ValueError, TypeError):
            raise InvalidToken("The signature of the token is not valid.") from None
        return _part(self.token.split(b".")[1])


def _part(segment: bytes) -> dict[str, Any]:
    try:
        return decode_object(urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))
    except ValueError as error:
        raise InvalidToken("The token is not a signed JWT of JSON objects without duplicates.") from error
