"""The claims of a token: whether it is meant for this service at this time, and whom it stands for (RFC 7519)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from common.access.actors import is_name, subject_id
from common.access.auth import Identity, Role
from common.access.bearer.invalid_token import InvalidToken
from common.errors import Problem

# Seconds since 1970: all whole numbers up to it are exact as floats.
_LATEST = 2**53

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What a token must claim. A claim inside an object is named by its path, such as `realm_access.roles`."""

    issuer: str
    audience: str
    leeway_seconds: float
    role_claim: str
    customer_claim: str
    name_claim: str
    customer_required: bool

    def valid_until(self, claims: Claims, now: float) -> float:
        """The end of the token's validity. Raises `InvalidToken` unless it is for this service and valid now."""
        if claims.get("iss") != self.issuer:
            raise InvalidToken("The issuer of the token is not trusted.")
        audience = claims.get("aud")
        if audience != self.audience and not (isinstance(audience, list) and self.audience in audience):
            raise InvalidToken("The token is not for this audience.")
        end = _time(claims, "exp")
        if end is None:
            raise InvalidToken("The token has no expiry.")
        if now >= end + self.leeway_seconds:
            raise InvalidToken("The token has expired.")
        for name, problem in (("nbf", "is not valid yet"), ("iat", "was issued in the future")):
            start = _time(claims, name)
            if start is not None and start > now + self.leeway_seconds:
                raise InvalidToken(f"The token {problem}.")
        return end + self.leeway_seconds

    def identity(self, claims: Claims) -> Identity:
        """Raises `InvalidToken`, and `Problem` FORBIDDEN for a token without exactly one role, or without the customer
        that a client needs."""
        subject = claims.get("sub")
        if not is_name(subject):
            raise InvalidToken("The token has no subject.")
        actor_id = subject_id(self.issuer, subject)
        name = _claim(claims, self.name_claim)
        role = self._role(claims)
        customer_id = self._customer(claims) if role is Role.CLIENT else None
        # No prefix of an API key has a dot.
        return Identity(actor_id, name if is_name(name) else subject, role, customer_id, f"token.{actor_id}")

    def _role(self, claims: Claims) -> Role:
        """Names that are no roles of this system are ignored: a provider lists its own among them."""
        value = _claim(claims, self.role_claim)
        names = value if isinstance(value, list) else [value]
        roles = {role for role in Role if role in names}
        if len(roles) != 1:
            raise Problem.forbidden("The token names no role." if not roles else "The token names more than one role.")
        return roles.pop()

    def _customer(self, claims: Claims) -> UUID | None:
        value = _claim(claims, self.customer_claim)
        if value is None and not self.customer_required:
            return None
        try:
            return UUID(value)
        except (ValueError, TypeError, AttributeError):
            raise Problem.forbidden("The token of a client names no customer.") from None


def _claim(claims: Claims, name: str) -> Any:
    """By the whole name first: names may be URLs, which have dots."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _time(claims: Claims, name: str) -> float | None:
    """A NumericDate. Raises `InvalidToken`."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise InvalidToken(f"The claim {name} is not a time.")
    return float(value)
