"""The policy: what each role may do at each route, with an object that is its own, another customer's, or missing.

Every route declares its policy, and the application acts by it (ADR 30). The table of docs/reference/access.md and the
test of every route are made of it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from common.access.auth import Role


class Ownership(StrEnum):
    """The object of a request, as a client that is bound to a customer sees it. Staff owns nothing and sees all."""

    OWN = "own"
    FOREIGN = "another customer's"
    MISSING = "missing"


class Verdict(StrEnum):
    ALLOWED = "allowed"
    FORBIDDEN = "403"
    NOT_FOUND = "404"


@dataclass(frozen=True, slots=True)
class Policy:
    """`roles` may call the route, everybody where they are None. `targets` has the roles for each target state of a
    route that changes one. `has_object`: the path names one. `foreign` is the answer to a bound client that names an
    object of another customer, in the path or in the body; None where objects have no owner."""

    roles: frozenset[Role] | None
    has_object: bool = False
    foreign: Verdict | None = None
    targets: Mapping[str, Collection[Role]] = field(default_factory=dict)

    def verdict(self, role: Role, ownership: Ownership, target: str | None = None) -> Verdict:
        """In the order of the checks: the route, the object, the target state."""
        if self.roles is None:
            return Verdict.ALLOWED
        if role not in self.roles:
            return Verdict.FORBIDDEN
        if ownership is Ownership.MISSING and (self.has_object or self.foreign is Verdict.NOT_FOUND):
            return Verdict.NOT_FOUND
        if ownership is Ownership.FOREIGN and self.foreign is not None and role is Role.CLIENT:
            return self.foreign
        if target is not None and role is not Role.OPS and role not in self.targets[target]:
            return Verdict.FORBIDDEN
        return Verdict.ALLOWED
