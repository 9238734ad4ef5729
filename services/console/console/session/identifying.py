"""Finds out whose a credential is: the services decide, and say its role."""

import asyncio
from collections.abc import Mapping, Sequence

from common.access.auth import Role

from console.person import Credential, Person
from console.services.client import ApiError, ServiceClient, ServiceDown
from console.services.services import ServiceConnections

# A route for operators only. Its refusal names the caller's role (docs/reference/errors.md, FORBIDDEN).
_PROBE = "/ops/api-keys"
_ANSWER_SECONDS = 3.0


class UnknownToSome(Exception):
    """Some services accept the credential, and others do not know it. The message names both."""

    def __init__(self, credential: Credential, accepting: Sequence[str], others: Sequence[str]) -> None:
        super().__init__(
            f"This {credential.kind} is valid at {_listed(accepting)}, and unknown to {_listed(others)}. "
            f"The console needs a {credential.kind} that all four services have."
        )


class Identifying:
    def __init__(self, connections: ServiceConnections) -> None:
        self._connections = connections

    async def person(self, credential: Credential, name: str, ip_address: str | None) -> Person:
        """Ask all services at once: with a key that one of them does not know, its pages would end the session. Those
        that are down have no say.

        Raises `ApiError`, with the status 401 for a credential that is not valid, `UnknownToSome`, and `ServiceDown`
        when no service answers."""
        unknown = Person(name, Role.CLIENT, credential, ip_address)
        services = self._connections.as_person(unknown).all
        answers = dict(zip((each.name for each in services), await asyncio.gather(*map(_ask, services)), strict=True))
        roles = {service: answer for service, answer in answers.items() if isinstance(answer, Role)}
        refusals = {service: answer for service, answer in answers.items() if isinstance(answer, ApiError)}
        others = [service for service, refusal in refusals.items() if refusal.status == 401]
        if roles and others:
            raise UnknownToSome(credential, list(roles), others)
        if roles:
            return Person(name, next(iter(roles.values())), credential, ip_address)
        if refusals:  # a credential that is not valid (401) before one that may not ask now (429)
            raise min(refusals.values(), key=lambda refusal: refusal.status)
        raise next(answer for answer in answers.values() if isinstance(answer, ServiceDown))


async def _ask(service: ServiceClient) -> Role | ApiError | ServiceDown:
    """The role of the person at the service, or why it is not known."""
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            await service.get(_PROBE, limit=1)
    except TimeoutError:
        return ServiceDown(service.name)
    except ServiceDown as down:
        return down
    except ApiError as error:
        return _role(error) or (error if error.status < 500 else ServiceDown(service.name))
    return Role.OPS


def _role(error: ApiError) -> Role | None:
    """Another refusal with 403 names no role: the token of the provider has none."""
    details: Mapping[str, object] = error.details
    role = details.get("role")
    return Role(str(role)) if error.status == 403 and role in list(Role) else None


def _listed(names: Sequence[str]) -> str:
    """`orders, returns and refunds`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
