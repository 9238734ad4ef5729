"""The public keys of an identity provider, from its JWK Set (RFC 7517)."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from common.access.bearer.strict_json import decode_object

SigningKey: TypeAlias = RSAKey | ECKey | OKPKey

# Providers publish a handful of keys.
MOST_KEYS = 100
# The kind of key that an algorithm needs. There is no symmetric one: a token that is signed with a public key as if it
# were a secret (RFC 8725, 2.1) finds no key.
KIND_OF = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
_CURVES = {"EC": "P-256", "OKP": "Ed25519"}
_TYPES: Mapping[str, type[SigningKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
# Private parts, if a provider publishes them by mistake, are not read.
_PUBLIC_MEMBERS = ("kty", "kid", "alg", "n", "e", "crv", "x", "y")
_SHORTEST_MODULUS, _LONGEST_MODULUS = 2048, 8192


class SigningKeys:
    """Raises `ValueError` for a document that is not a JWK Set, has too many keys, or none that can verify tokens.

    Keys for another use, of another kind or too weak are left out (RFC 7517, 5).
    """

    def __init__(self, document: bytes) -> None:
        keys = decode_object(document).get("keys")
        if not isinstance(keys, list):
            raise ValueError("has no list of keys")
        if len(keys) > MOST_KEYS:
            raise ValueError(f"has more than {MOST_KEYS} keys")
        self._keys = [key for each in keys if (key := _signing_key(each)) is not None]
        if not self._keys:
            raise ValueError("has no key that can verify a token")

    def find(self, kid: str | None, algorithm: str) -> SigningKey | None:
        """The only key for this algorithm that has the id; without an id, the only key for the algorithm."""
        found = [each for each in self._keys if _is_for(each, algorithm) and kid in (None, each.kid)]
        return found[0] if len(found) == 1 else None


def _is_for(key: SigningKey, algorithm: str) -> bool:
    return key.key_type == KIND_OF[algorithm] and key.alg in (None, algorithm)


def _signing_key(jwk: Any) -> SigningKey | None:
    if not isinstance(jwk, dict) or jwk.get("kty") not in _TYPES or not _may_verify(jwk):
        return None
    kind = jwk["kty"]
    if jwk.get("crv") != _CURVES.get(kind):
        return None
    try:
        if kind == "RSA" and not _SHORTEST_MODULUS <= base64_to_int(jwk["n"]).bit_length() <= _LONGEST_MODULUS:
            return None
        return _TYPES[kind].import_key({name: jwk[name] for name in _PUBLIC_MEMBERS if name in jwk})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _may_verify(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return jwk.get("use", "sig") == "sig" and isinstance(operations, Iterable) and "verify" in operations
