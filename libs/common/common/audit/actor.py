"""Who or what makes a change, as the audit trail and the events of the change name it."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

ActorType = Literal["USER", "SYSTEM"]
Trigger = Literal["API_CALL", "EVENT", "BACKGROUND_JOB"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A caller has an `id`; the system has none. `name` is the prefix of the caller's API key, the type of the event or
    the kind of the job. `traceparent` is the W3C trace context of the change; `causation_id` is the id of the event
    that caused it."""

    id: UUID | None
    name: str
    type: ActorType
    trigger: Trigger
    traceparent: str
    ip_address: str | None = None
    causation_id: str | None = None
