"""The tables that every service's database has in addition to the service's own."""

from common.database.tables.audit import audit, audit_details
from common.database.tables.audit_log import (
    audit_checkpoints,
    audit_leaves,
    audit_log,
    audit_nodes,
    audit_verifications,
)
from common.database.tables.columns import APPEND_ONLY, NAMING_CONVENTION, infrastructure, instant
from common.database.tables.discrepancies import discrepancies
from common.database.tables.inbox import consumer_positions, inbox, poison
from common.database.tables.jobs import job_attempts, jobs, paused_kinds, workers
from common.database.tables.outbox import (
    event_streams,
    outbox,
    outbox_holds,
    outbox_parked,
    outbox_pending,
    relay_lanes,
    relays,
)
from common.database.tables.requests import api_keys, idempotency_keys, rate_limit_leases, response_times

__all__ = [
    "APPEND_ONLY",
    "NAMING_CONVENTION",
    "api_keys",
    "audit",
    "audit_checkpoints",
    "audit_details",
    "audit_leaves",
    "audit_log",
    "audit_nodes",
    "audit_verifications",
    "consumer_positions",
    "discrepancies",
    "event_streams",
    "idempotency_keys",
    "inbox",
    "infrastructure",
    "instant",
    "job_attempts",
    "jobs",
    "outbox",
    "outbox_holds",
    "outbox_parked",
    "outbox_pending",
    "paused_kinds",
    "poison",
    "rate_limit_leases",
    "relay_lanes",
    "relays",
    "response_times",
    "workers",
]
