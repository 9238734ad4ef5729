"""Finds out whose a credential is: the services decide, and say its role."""

from collections.abc import Mapping

from common.access.auth import Role

from console.person import Credential, Person
from console.services.client import ApiError, ServiceDown
from console.services.services import ServiceConnections

# A route for operators only. Its refusal names the caller's role (docs/reference/errors.md, FORBIDDEN).
_PROBE = "/ops/api-keys"


class Identifying:
    def __init__(self, connections: ServiceConnections) -> None:
        self._connections = connections

    async def person(self, credential: Credential, name: str, ip_address: str | None) -> Person:
        """Identify the person by an API key. The services have the same keys, so the first one that answers decides.

        Raises `ApiError`, with the status 401 for a credential that is not valid, and `ServiceDown` when no service
        answers."""
        unknown = Person(name, Role.CLIENT, credential, ip_address)
        down = None
        for service in self._connections.as_person(unknown).all:
            try:
                await service.get(_PROBE, limit=1)
            except ServiceDown as error:
                down = error
            except ApiError as error:
                role = _role(error)
                if role is not None:
                    return Person(name, role, credential, ip_address)
                if error.status < 500:
                    raise
                down = ServiceDown(service.name)
            else:
                return Person(name, Role.OPS, credential, ip_address)
        raise ServiceDown("for the log-in") if down is None else down


def _role(error: ApiError) -> Role | None:
    """Another refusal with 403 names no role: the token of the provider has none."""
    details: Mapping[str, object] = error.details
    role = details.get("role")
    return Role(str(role)) if error.status == 403 and role in list(Role) else None
