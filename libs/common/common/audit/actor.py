"""Who or what makes a change, as the audit trail and the events of the change name it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from common.telemetry.trace_context import new_traceparent

ActorType = Literal["USER", "SYSTEM"]
Trigger = Literal["API_CALL", "EVENT", "BACKGROUND_JOB"]


class CausingEvent(Protocol):
    """The part of a received event that an actor is made of."""

    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def traceparent(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Actor:
    """`traceparent` is the W3C trace context of the change; `causation_id` is the id of the event that caused it."""

    id: str | None
    type: ActorType
    trigger: Trigger
    traceparent: str
    ip_address: str | None = None
    causation_id: str | None = None

    @classmethod
    def of_event(cls, event: CausingEvent) -> "Actor":
        """The system, acting because it consumed this event."""
        traceparent = new_traceparent(event.traceparent)
        return cls(event.type, "SYSTEM", "EVENT", traceparent, causation_id=event.id)
