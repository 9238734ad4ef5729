"""The person who is logged in, as whom the console calls the services."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from common.access.auth import Role


@dataclass(frozen=True, slots=True)
class Credential:
    """What the person logged in with: an API key, or a bearer token of the OpenID provider."""

    kind: Literal["key", "token"]
    secret: str

    @property
    def headers(self) -> Mapping[str, str]:
        if self.kind == "key":
            return {"X-API-Key": self.secret}
        return {"Authorization": f"Bearer {self.secret}"}

    def __repr__(self) -> str:
        return f"Credential({self.kind})"


@dataclass(frozen=True, slots=True)
class Person:
    """`role` is what the services say of the credential. `ip_address` is where the request came from. `actor_id` names
    the person in audit trails; it is not known of an API key, because it depends on the key's `subject`."""

    name: str
    role: Role
    credential: Credential
    ip_address: str | None = None
    actor_id: str | None = None
