"""API keys: `prefix.secret`, of which the prefix and the SHA-256 of the secret are stored.

A secret has 256 random bits, so a slow hash would not be safer.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import ARRAY, Text, any_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from common.database import tables
from common.database.statements import Connection, prepare

_keys = tables.api_keys
_OPTION_NAMES = ("customer_id", "expires_at", "rate_limit", "subject")
_PREFIX = _keys.c.prefix == bindparam("prefix", type_=Text)
_valid = select(
    *(_keys.c.prefix, _keys.c.secret_hash, _keys.c.role, _keys.c.customer_id, _keys.c.rate_limit, _keys.c.subject),
    (_keys.c.expires_at - func.now()).label("valid_for"),
).where(_keys.c.revoked_at.is_(None), or_(_keys.c.expires_at.is_(None), _keys.c.expires_at > func.now()))
_FIND_VALID = prepare(_valid.where(_PREFIX))
_FIND_VALID_AMONG = prepare(_valid.where(_keys.c.prefix == any_(bindparam("prefixes", type_=ARRAY(Text)))))
_INSERT = prepare(
    insert(_keys)
    .values({name: bindparam(name) for name in ("prefix", "name", "secret_hash", "role", *_OPTION_NAMES)})
    .on_conflict_do_nothing(index_elements=[_keys.c.prefix])
)
_REVOKE = prepare(update(_keys).where(_PREFIX, _keys.c.revoked_at.is_(None)).values(revoked_at=func.now()))
_FIND = prepare(select(*_keys.c).where(_PREFIX))


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """The optional properties of a key: the only customer whose objects a client may see, the time from which the key
    is refused, its requests in any 60 seconds in place of the setting (0 for any number), and the person who uses it,
    as the subject of that person's tokens (ADR 49)."""

    customer_id: UUID | None = None
    expires_at: datetime | None = None
    rate_limit: int | None = None
    subject: str | None = None


NO_OPTIONS = KeyOptions()


def hash_secret(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def entity_id(prefix: str) -> UUID:
    """The id of a key as an entity of the audit trail, and as an actor unless it has a subject: the same for the same
    prefix."""
    return uuid5(NAMESPACE_URL, f"urn:articurated:api-key:{prefix}")


async def find_valid(connection: Connection, prefix: str) -> Any:
    """The row of a key that is neither revoked nor expired, or None."""
    return await _FIND_VALID.fetch_one(connection, prefix=prefix)


async def find_valid_among(connection: Connection, prefixes: Iterable[str]) -> dict[str, Any]:
    """The rows of `find_valid` for many prefixes."""
    rows = await _FIND_VALID_AMONG.fetch_all(connection, prefixes=list(prefixes))
    return {row["prefix"]: row for row in rows}


async def create(connection: Connection, *, name: str, role: str, options: KeyOptions = NO_OPTIONS) -> str:
    """Make a new key and return it with its secret, which is not stored."""
    key = f"{role}_{secrets.token_hex(6)}.{secrets.token_urlsafe(32)}"
    await add(connection, key=key, name=name, role=role, options=options)
    return key


async def add(connection: Connection, *, key: str, name: str, role: str, options: KeyOptions = NO_OPTIONS) -> bool:
    """Store a key that was made elsewhere; False when its prefix exists.

    Raises `ValueError` for a key that is not `prefix.secret` in ASCII with a secret of at least 16 characters.
    """
    prefix, dot, secret = key.partition(".")
    if not (key.isascii() and key.isprintable() and prefix and dot and len(secret) >= 16):
        raise ValueError("a key is prefix.secret, in ASCII, and its secret has at least 16 characters")
    added = await _INSERT.execute(
        connection,
        prefix=prefix,
        name=name,
        secret_hash=hash_secret(secret.encode()),
        role=role,
        **{name: getattr(options, name) for name in _OPTION_NAMES},
    )
    return added == 1


async def revoke(connection: Connection, prefix: str) -> bool:
    """Refuse the key from now on; False when it does not exist or is revoked already."""
    return await _REVOKE.execute(connection, prefix=prefix) == 1


async def find(connection: Connection, prefix: str) -> Any:
    """The row of a key in any state, with its hash, or None."""
    return await _FIND.fetch_one(connection, prefix=prefix)
