"""What the console knows of the system without a person's rights: the open pages of every role."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from console.services.roles import RoleHealth, health_of_roles


@dataclass(frozen=True, slots=True)
class Monitoring:
    """`roles` are the names and addresses of all roles."""

    http: httpx.AsyncClient
    roles: Sequence[tuple[str, str]]

    async def health(self) -> list[RoleHealth]:
        return await health_of_roles(self.http, self.roles)
