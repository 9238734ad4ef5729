"""The hash chain over the audit rows of one entity (ADR 6).

It covers ids, states and times, and a salted digest of the details: free text and personal data. The details are in a
table of their own, so that they can be erased on a person's request while the chain still verifies.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from common.database.statements import Record

Row: TypeAlias = Mapping[str, Any] | Record

GENESIS = bytes(32)
# Of every salt. It separates the salt from the text in what is digested: a part of the text cannot pass as salt.
SALT_SIZE = 16
# `json.dumps` would make an encoder at each call. Every stored hash is over the output of this one.
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last link of an entity's chain. It is in the entity's own row, and so read and moved under its lock."""

    position: int = 0
    hash: bytes = GENESIS


def digest_of(salt: bytes, details: str, ip_address: str | None) -> bytes:
    return hashlib.sha256(salt + details.encode() + b"\0" + (ip_address or "").encode()).digest()


def hash_of(row: Row) -> bytes:
    """SHA-256 over the previous hash and the row; `created_at` counts in microseconds, as PostgreSQL stores it."""
    hashed_values = [
        str(row["id"]),
        row["entity_type"],
        str(row["entity_id"]),
        row["position"],
        row["previous_state"],
        row["new_state"],
        row["outcome"],
        row["actor_id"],
        row["actor_type"],
        row["trigger"],
        row["created_at"].timestamp(),
        row["details_digest"].hex(),
    ]
    return hashlib.sha256(row["previous_hash"] + _encode(hashed_values).encode()).digest()


class ChainCheck:
    """Verifies one entity's chain row by row, in the order of positions."""

    def __init__(self) -> None:
        self._head = ChainHead()

    def problem(self, row: Row) -> Literal["missing", "unlinked", "edited"] | None:
        """What is wrong with the next row: rows before it are missing, it does not continue the chain, or it was
        changed. None if nothing is."""
        before, self._head = self._head, ChainHead(row["position"], row["hash"])
        if row["position"] != before.position + 1:
            return "missing"
        if row["previous_hash"] != before.hash:
            return "unlinked"
        return None if row["hash"] == hash_of(row) and _has_its_details(row) else "edited"

    def holds(self, row: Row) -> bool:
        """Whether the next row continues the chain and is unchanged."""
        return self.problem(row) is None


def _has_its_details(row: Row) -> bool:
    """Whether the details are those of the digest, or were erased, all of them."""
    salt, details, ip_address = row["salt"], row["details"], row["ip_address"]
    if salt is None or details is None:
        return salt is None and details is None and ip_address is None
    return len(salt) == SALT_SIZE and digest_of(salt, details, ip_address) == row["details_digest"]
