"""Ids of the actors in the audit trail, also of those that older versions stored by their names."""

from typing import TypeGuard
from uuid import NAMESPACE_URL, UUID, uuid5

from common.access import api_keys
from common.audit.actor import ActorType

_COMMAND_LINE = " (command line)"
_LONGEST_NAME = 255


def command_line_name(user: str) -> str:
    """The name of an operator who works on the command line."""
    return f"{user}{_COMMAND_LINE}"


def command_line_id(user: str) -> UUID:
    """The id of an operator who works on the command line: the same for the same user of the operating system."""
    return uuid5(NAMESPACE_URL, f"urn:articurated:command-line:{user}")


def is_name(value: object) -> TypeGuard[str]:
    """Whether this can be the name or the subject of an identity."""
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable() and not value.isspace()


def subject_id(issuer: str, subject: str) -> UUID:
    """The id of the subject of a bearer token or of an API key: the same for the same subject of the same issuer."""
    return uuid5(NAMESPACE_URL, f"urn:articurated:subject:{issuer}\n{subject}")


def recorded_actor(stored: str | None, actor_type: ActorType) -> tuple[UUID | None, str | None]:
    """The actor's id, and the name if the row has it in place of an id.

    Rows of version 0.1 have the prefix of a key, the user of the command line, the type of an event or the kind of a
    job. They are not rewritten, because the chain's hash is over what was stored.
    """
    if stored is None:
        return None, None
    try:
        return UUID(stored), None
    except ValueError:
        pass
    if actor_type == "SYSTEM":
        return None, stored
    user = stored.removesuffix(_COMMAND_LINE)
    return (api_keys.entity_id(stored) if user == stored else command_line_id(user)), stored
