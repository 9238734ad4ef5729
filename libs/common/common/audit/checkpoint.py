"""Checkpoints of the audit log: size and root of the Merkle tree as a signed note (https://c2sp.org/tlog-checkpoint).

    articurated/workshop/0192f3a4-0000-7000-8000-000000000001
    1042
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
    2026-11-29T18:00:00.123456+00:00

    — articurated/workshop/0192f3a4-0000-7000-8000-000000000001 Az3grlgtzPICa5OS8npVmf1Myq/5…

The first line names the log; the last is the Ed25519 signature over the lines above the blank one, and is missing
without a key.
"""

import hashlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common.settings import ServiceSettings

_ED25519 = b"\x01"
_KEY_ID_SIZE = 4


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log at one size."""

    log: str
    size: int
    root: bytes
    created_at: datetime

    @property
    def body(self) -> str:
        """What is signed."""
        return f"{self.log}\n{self.size}\n{b64encode(self.root).decode()}\n{self.created_at.isoformat()}\n"

    @classmethod
    def parse(cls, note: str) -> Self:
        """Without a check of the signature. Raises `ValueError`."""
        log, size, root, created_at, blank, *_ = note.split("\n")
        if blank:
            raise ValueError("a checkpoint has four lines before the blank one")
        return cls(log, int(size), b64decode(root, validate=True), datetime.fromisoformat(created_at))


class SigningKey:
    """An Ed25519 key, made from 32 random bytes in base64 (`openssl rand -base64 32`)."""

    def __init__(self, secret: str) -> None:
        """Raises `ValueError`."""
        self._key = Ed25519PrivateKey.from_private_bytes(b64decode(secret, validate=True))

    @classmethod
    def of(cls, settings: ServiceSettings) -> Self | None:
        """None if the settings have no key."""
        secret = settings.audit_signing_key.get_secret_value()
        return cls(secret) if secret else None

    @property
    def public(self) -> str:
        """The public key, 32 bytes in base64."""
        return b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, checkpoint: Checkpoint) -> str:
        """The signed note."""
        signature = _key_id(checkpoint.log, self.public) + self._key.sign(checkpoint.body.encode())
        return f"{unsigned(checkpoint)}— {checkpoint.log} {b64encode(signature).decode()}\n"


def unsigned(checkpoint: Checkpoint) -> str:
    """The note without a signature."""
    return f"{checkpoint.body}\n"


def is_signed(note: str, public_key: str) -> bool:
    """Whether the note has a valid signature by this key, which is in base64."""
    body, _, signatures = note.partition("\n\n")
    log = body.partition("\n")[0]
    start = f"— {log} "
    key = Ed25519PublicKey.from_public_bytes(b64decode(public_key))
    for line in signatures.splitlines():
        try:
            signature = b64decode(line.removeprefix(start), validate=True)
            if signature[:_KEY_ID_SIZE] != _key_id(log, public_key):
                continue
            key.verify(signature[_KEY_ID_SIZE:], f"{body}\n".encode())
        except (ValueError, InvalidSignature):
            continue
        return True
    return False


def _key_id(name: str, public_key: str) -> bytes:
    """The first bytes of a hash, so that a reader of several keys' signatures knows which one to use."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + b64decode(public_key)).digest()[:_KEY_ID_SIZE]
