"""Results of the operators' queries and commands. The fields are columns, of the same names and in this order."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from typing_extensions import TypedDict

from common.access.auth import Role


class PoisonSummary(TypedDict):
    """`cause` is the error without what differs between occurrences."""

    id: UUID
    topic: str
    partition: int
    offset: int
    error: str
    cause: str
    state: Literal["kept", "replayed", "discarded"]
    created_at: datetime
    replayed_at: datetime | None
    discarded_at: datetime | None
    discarded_reason: str | None
    discarded_by: str | None
    kind: Literal["record", "batch"]
    last_offset: int | None


class PoisonDetail(PoisonSummary):
    """The record as it was read: `key`, `value` and the headers' values are base64, `record_time` is milliseconds."""

    key: str | None
    value: str | None
    headers: list[Any]
    record_time: int


class PoisonReplayed(TypedDict):
    """Of the `matched` records, those of `ids` were replayed, or would be, with `dry_run`. Those of `failed` still
    fail, and stay kept: the log says why. What somebody else replayed or discarded meanwhile is in neither."""

    dry_run: bool
    matched: int
    replayed: int
    ids: list[UUID]
    failed: list[UUID]


class UnsentEvent(TypedDict):
    """`position` is the event's place in the outbox; `last_error` says why Kafka refused a parked event."""

    position: int
    id: UUID
    type: str
    topic: str
    key: str
    sequence: int
    state: Literal["pending", "parked"]
    created_at: datetime
    last_error: str | None


class OutboxEvent(TypedDict):
    """An event as it is or was to be published. `payload` is its data, `headers` are those beside the usual ones;
    `published` ones are shown until they are purged."""

    position: int
    id: UUID
    type: str
    topic: str
    key: str
    sequence: int
    state: Literal["pending", "parked", "published"]
    created_at: datetime
    last_error: str | None
    causation_id: str | None
    traceparent: str
    headers: dict[str, str] | None
    payload: Any


class ReplayedEvent(TypedDict):
    position: int
    id: UUID
    state: Literal["pending", "parked", "published"]


class AuditProblem(TypedDict):
    """`kind` says what is wrong with the rows of the entity from `position` on, or without an entity with the log:
    docs/how-to/verify-the-audit-trail.md."""

    kind: str
    entity_type: str | None
    entity_id: UUID | None
    position: int | None
    explanation: str | None


class AuditResult(TypedDict):
    """`broken` is the first problem, `found` has the first hundred, and `problems` counts all."""

    rows: int
    entities: int
    leaves: int
    checkpoints: int
    stored_checkpoints: int
    unsealed_rows: int
    problems: int
    broken: AuditProblem | None
    found: list[AuditProblem]


class AuditVerification(TypedDict):
    """`result` is null until it is finished; a verification whose process was stopped never is."""

    id: int
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    result: AuditResult | None


class Discrepancy(TypedDict):
    """What the reconciler found by `check`. It is open until `resolved_at`, and not reported from `acknowledged_at` on,
    unless its details change; `repaired_at` is its last repair."""

    id: UUID
    check: str
    subject: str
    key: str | None
    details: dict[str, Any]
    first_seen: datetime
    last_seen: datetime
    occurrences: int
    repairs: int
    repaired_at: datetime | None
    repair_error: str | None
    resolved_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_reason: str | None


class ApiKeySummary(TypedDict):
    """`last_used_at` is accurate to a minute. `rate_limit` is null where the setting applies, and 0 for no limit.
    `subject` is the person who uses the key, if it is given."""

    prefix: str
    name: str
    role: Role
    customer_id: UUID | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rate_limit: int | None
    subject: str | None


class CreatedApiKey(TypedDict):
    """`key` is given once; it is null when the answer is replayed for an `Idempotency-Key`."""

    prefix: str
    key: str | None
    name: str
    role: Role
    customer_id: UUID | None
    expires_at: datetime | None
    rate_limit: int | None
    subject: str | None


class RevokedApiKey(TypedDict):
    prefix: str
    state: Literal["revoked"]
