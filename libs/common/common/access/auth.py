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
from common.audit import Actor
from common.database.transactions import Pool, reading
from common.errors import Code, Problem

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])

_CACHED_KEYS_LIMIT = 10_000


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


class Authenticator:
    """Looks keys up in the database, at most once per key and `cache_seconds`, also when many requests wait for it."""

    def __init__(self, pool: Pool, cache_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
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

    async def look_up(self, presented: bytes) -> KeyHolder:
        """The key's holder. Raises `Problem` UNAUTHENTICATED for a key that is unknown, revoked or expired."""
        digest = hashlib.sha256(presented).digest()
        looking = self._looking.get(digest)
        if looking is None:
            looking = self._looking[digest] = asyncio.create_task(self._look_up(digest, presented))
            looking.add_done_callback(lambda _: self._looking.pop(digest))
        return await asyncio.shield(looking)

    async def _look_up(self, digest: bytes, presented: bytes) -> KeyHolder:
        asked_at = self._clock()
        prefix, dot, secret = presented.partition(b".")
        if not (prefix and dot and secret and presented.isascii() and presented.decode().isprintable()):
            raise _not_valid()
        async with reading(self._pool) as connection:
            row = await api_keys.find_valid(connection, prefix.decode())
        if row is None or not hmac.compare_digest(row["secret_hash"], api_keys.hash_secret(secret)):
            self._known.pop(digest, None)
            raise _not_valid()
        holder = KeyHolder(row["prefix"], Role(row["role"]), row["customer_id"])
        if len(self._known) >= _CACHED_KEYS_LIMIT:
            self._known.clear()
        self._known[digest] = (holder, asked_at + self._cache_seconds)
        return holder


def _not_valid() -> Problem:
    return Problem(Code.UNAUTHENTICATED, "The API key is not valid.")
