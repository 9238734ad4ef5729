"""Who or what makes a change, as the audit trail and the events of the change name it."""

from dataclasses import dataclass
from typing import Literal

ActorType = Literal["USER", "SYSTEM"]
Trigger = Literal["API_CALL", "EVENT", "BACKGROUND_JOB"]


@dataclass(frozen=True, slots=True)
class Actor:
    """`traceparent` is the W3C trace context of the change; `causation_id` is the id of the event that caused it."""

    id: str | None
    type: ActorType
    trigger: Trigger
    traceparent: str
    ip_address: str | None = None
    causation_id: str | None = None
