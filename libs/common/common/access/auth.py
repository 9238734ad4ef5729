"""Who calls and what they may: API keys at the door, roles per route, deny by default."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

from common.access import api_keys
from common.access.key_lookups import KeyLookUps
from common.audit.actor import Actor
from common.database.transactions import Pool
from common.errors import Code, Problem

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_CACHED_KEYS_LIMIT = 10_000
# Names of keys made elsewhere (`api-keys add`) may be chosen freely, up to what the routes for operators take.
_LONGEST_PREFIX = 255
_NOBODYS_HASH = bytes(hashlib.sha256().digest_size)


class Role(StrEnum):
    CLIENT = "client"
    WAREHOUSE = "warehouse"
    PAYMENTS = "payments"
    MANAGER = "manager"
    OPS = "ops"


STAFF = frozenset(Role) - {Role.CLIENT}
EVERYONE = frozenset[Role]()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes this request. A client's key may be bound to one customer."""

    key_prefix: str
    role: Role
    customer_id: UUID | None
    ip_address: str | None
    traceparent: str

    @property
    def bound_to(self) -> UUID | None:
        """The one customer for whom this caller acts; None for staff, and for a client that acts for many."""
        return self.customer_id if self.role is Role.CLIENT else None

    def may_see(self, customer_id: UUID) -> bool:
        """Whether objects of this customer exist for the caller."""
        return self.bound_to in (None, customer_id)

    @property
    def actor(self) -> Actor:
        return Actor(self.key_prefix, "USER", "API_CALL", self.traceparent, self.ip_address)


def allow(*roles: Role) -> Callable[[Endpoint], Endpoint]:
    """Let these roles, and `ops`, call the endpoint; stands directly above it, under the router's decorator."""

    def mark(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["allowed_roles"] = frozenset({*roles, Role.OPS})
        return endpoint

    return mark


def open_to_all(endpoint: Endpoint) -> Endpoint:
    """No key is asked for. Only for what tells nothing about anybody: health, metrics text, documentation."""
    endpoint.__dict__["allowed_roles"] = EVERYONE
    return endpoint


def allowed_roles(endpoint: Callable[..., Any]) -> frozenset[Role]:
    """`EVERYONE` (empty) for an open endpoint. Raises `TypeError` for one that says nothing: the default is to deny."""
    try:
        roles: frozenset[Role] = endpoint.__dict__["allowed_roles"]
    except KeyError:
        raise TypeError(f"{endpoint.__qualname__} needs @allow(...) or @open_to_all") from None
    return roles


def require(caller: Caller, *roles: Role) -> None:
    """For what depends on the request rather than the route, such as a target state. Raises `Problem` FORBIDDEN."""
    if caller.role not in roles and caller.role is not Role.OPS:
        raise forbidden(caller.role)


def forbidden(role: Role) -> Problem:
    return Problem(Code.FORBIDDEN, f"The role {role} may not do this.", {"role": role})


@dataclass(frozen=True, slots=True)
class KeyHolder:
    prefix: str
    role: Role
    customer_id: UUID | None


class InvalidKey(Problem):
    """UNAUTHENTICATED. `prefix` is that of a key that exists, and whose secret was wrong; None for any other key."""

    def __init__(self, prefix: str | None = None) -> None:
        super().__init__(Code.UNAUTHENTICATED, "The API key is not valid.")
        self.prefix = prefix


class Authenticator:
    """Looks keys up in the database, at most once per key and `cache_seconds`, also when many requests wait for it."""

    def __init__(self, pool: Pool, cache_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._look_ups = KeyLookUps(pool)
        self._cache_seconds = cache_seconds
        self._clock = clock
        self._known: dict[bytes, tuple[KeyHolder, float]] = {}
        self._looking: dict[bytes, asyncio.Task[KeyHolder]] = {}

    def cached(self, presented: bytes) -> KeyHolder | None:
        """The key's holder when it was looked up lately: no waiting."""
        known = self._known.get(hashlib.sha256(presented).digest())
        return known[0] if known is not None and self._clock() < known[1] else None

    def was_valid(self, presented: bytes) -> bool:
        """Whether the last look-up of this key found its holder, however long ago."""
        return hashlib.sha256(presented).digest() in self._known

    async def look_up(self, presented: bytes, *, together: bool = False) -> KeyHolder:
        """The key's holder; `together` with others (`KeyLookUps`). Raises `InvalidKey` for a key that is unknown,
        revoked or expired, and what the look-up raises."""
        digest = hashlib.sha256(presented).digest()
        looking = self._looking.get(digest)
        if looking is None:
            looking = self._looking[digest] = asyncio.create_task(self._look_up(digest, presented, together))
            looking.add_done_callback(lambda _: self._looking.pop(digest))
        return await asyncio.shield(looking)

    async def _look_up(self, digest: bytes, presented: bytes, together: bool) -> KeyHolder:
        asked_at = self._clock()
        prefix, secret = split_key(presented)
        row = await (self._look_ups.find_together if together else self._look_ups.find)(prefix)
        # An unknown prefix costs the same hash and comparison as a known one: time tells nobody which prefixes exist.
        kept_hash = _NOBODYS_HASH if row is None else row["secret_hash"]
        if not hmac.compare_digest(kept_hash, api_keys.hash_secret(secret)) or row is None:
            self._known.pop(digest, None)
            raise InvalidKey(None if row is None else prefix)
        holder = KeyHolder(row["prefix"], Role(row["role"]), row["customer_id"])
        if len(self._known) >= _CACHED_KEYS_LIMIT:
            self._known.clear()
        self._known[digest] = (holder, asked_at + self._cache_seconds)
        return holder


def split_key(presented: bytes) -> tuple[str, bytes]:
    """Prefix and secret. Raises `InvalidKey` for what cannot be a key."""
    prefix, dot, secret = presented.partition(b".")
    if not (prefix and dot and secret and len(prefix) <= _LONGEST_PREFIX):
        raise InvalidKey
    if not (presented.isascii() and presented.decode().isprintable()):
        raise InvalidKey
    return prefix.decode(), secret
