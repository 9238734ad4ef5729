"""Callers of routes, and their roles."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from common.audit.actor import Actor
from common.errors import Code, Problem

if TYPE_CHECKING:
    from starlette.requests import Request


# The roles of the whole system, in which one key is valid in every service (ADR 11). What a role may do is up to each
# service. No docstring: it would be in the OpenAPI document.
class Role(StrEnum):
    CLIENT = "client"
    WAREHOUSE = "warehouse"
    PAYMENTS = "payments"
    MANAGER = "manager"
    OPS = "ops"

    @classmethod
    def staff(cls) -> "frozenset[Role]":
        """All but clients."""
        return frozenset(cls) - {cls.CLIENT}


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a credential stands for. `name` is the prefix of an API key. Credentials of the same person have the same
    `id`.

    `scope` is the text under which its requests are counted and its idempotency keys are stored; no two identities have
    the same. `rate_limit` is in place of the setting.
    """

    id: UUID
    name: str
    role: Role
    customer_id: UUID | None
    scope: str
    rate_limit: int | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request. A client may be bound to one customer. `scope` is that of `Identity`."""

    id: UUID
    name: str
    role: Role
    customer_id: UUID | None
    ip_address: str | None
    traceparent: str
    scope: str = ""

    @classmethod
    def of(cls, request: "Request") -> "Caller":
        """The caller of a guarded route."""
        caller: Caller = request.scope["caller"]
        return caller

    @property
    def bound_to(self) -> UUID | None:
        """The one customer for whom this caller acts; None for staff, and for a client that acts for many."""
        return self.customer_id if self.role is Role.CLIENT else None

    def owner_of_external_id(self, customer_id: UUID) -> UUID:
        """The owner among whose objects an external id is unique (ADR 25): the customer of the object, but for a client
        that acts for many the client itself."""
        acts_for_many = self.role is Role.CLIENT and self.customer_id is None
        return self.id if acts_for_many else customer_id

    def may_see(self, customer_id: UUID) -> bool:
        """Whether objects of this customer exist for the caller."""
        return self.bound_to in (None, customer_id)

    @property
    def actor(self) -> Actor:
        return Actor(self.id, self.name, "USER", "API_CALL", self.traceparent, self.ip_address)

    def require(self, *roles: Role) -> None:
        """Roles for a part of a route, such as a target state. Raises `Problem` FORBIDDEN."""
        if self.role not in roles and self.role is not Role.OPS:
            raise self.forbidden()

    def forbidden(self) -> Problem:
        return Problem(Code.FORBIDDEN, f"The role {self.role} may not do this.", {"role": self.role})
