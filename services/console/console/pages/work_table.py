"""The rows of the pages for work in the table of all pages."""

from console import operations as ops
from console.pages import (
    api_keys,
    audit,
    failures,
    findings,
    jobs,
    kinds,
    poison,
    poison_replay,
    refunds,
    returns,
    unsent_events,
)
from console.pages.page import Page

_RETURN = "/returns/{return_id}"
_JOB = "/jobs/{service}/{job_id}"
_KIND = "/kinds/{service}/{kind}"
_POISON = "/poison/{service}/{poison_id}"
_FINDING = "/findings/{service}/{discrepancy_id}"
_EVENT = "/unsent-events/{service}/{position}"

RETURNS = (
    Page("/returns", "Returns", returns.queue, (ops.LIST_RETURNS,), in_navigation=True),
    Page(_RETURN, "Return", returns.one, (ops.READ_RETURN,)),
    Page(f"{_RETURN}/approve", "Return", returns.approve, (ops.APPROVE_RETURN,), "POST"),
    Page(f"{_RETURN}/reject", "Return", returns.reject, (ops.REJECT_RETURN,), "POST"),
)
_FAILURES_NEED = (ops.LIST_FAILURES, ops.READ_STATUS)
FAILURES = (
    Page("/failures", "Failed work", failures.page, _FAILURES_NEED, in_navigation=True),
    Page("/failures/live", "Failed work", failures.live, _FAILURES_NEED),
    Page("/failures/group", "Failed work", failures.group, (ops.LIST_JOBS,)),
    Page("/failures/preview", "Dry run", failures.preview, (ops.REPLAY_JOBS, ops.DISCARD_JOBS), "POST"),
    Page("/failures/replay", "Failed work", failures.replay, (ops.REPLAY_JOBS,), "POST"),
    Page("/failures/discard", "Failed work", failures.discard, (ops.DISCARD_JOBS,), "POST"),
    Page("/jobs", "Jobs", jobs.page, (ops.LIST_JOBS,), in_navigation=True),
    Page(_JOB, "Job", jobs.one, (ops.READ_JOB,)),
    Page(f"{_JOB}/replay", "Job", jobs.replay, (ops.REPLAY_JOB,), "POST"),
    Page(f"{_JOB}/discard", "Job", jobs.discard, (ops.DISCARD_JOB,), "POST"),
    Page("/kinds", "Kinds of work", kinds.page, (ops.LIST_JOB_KINDS,), in_navigation=True),
    Page(f"{_KIND}/pause", "Kinds of work", kinds.pause, (ops.PAUSE_JOB_KIND,), "POST"),
    Page(f"{_KIND}/resume", "Kinds of work", kinds.resume, (ops.RESUME_JOB_KIND,), "POST"),
)
MESSAGES = (
    Page("/poison", "Poison records", poison.page, (ops.LIST_POISON,), in_navigation=True),
    Page(_POISON, "Poison record", poison.one, (ops.READ_POISON,)),
    Page(f"{_POISON}/replay", "Poison record", poison.replay, (ops.REPLAY_POISON,), "POST"),
    Page("/poison/preview", "Dry run", poison_replay.preview, (ops.REPLAY_POISON_RECORDS,), "POST"),
    Page("/poison/replay", "Poison records", poison_replay.replay, (ops.REPLAY_POISON_RECORDS,), "POST"),
    Page(f"{_POISON}/discard", "Poison record", poison.discard, (ops.DISCARD_POISON,), "POST"),
    Page("/unsent-events", "Unsent events", unsent_events.page, (ops.LIST_UNSENT_EVENTS,), in_navigation=True),
    Page(_EVENT, "Unsent event", unsent_events.one, (ops.READ_UNSENT_EVENT,)),
    Page(f"{_EVENT}/replay", "Unsent event", unsent_events.replay, (ops.REPLAY_EVENT,), "POST"),
    Page("/findings", "Discrepancies", findings.page, (ops.LIST_DISCREPANCIES,), in_navigation=True),
    Page(f"{_FINDING}/acknowledge", "Discrepancies", findings.acknowledge, (ops.ACKNOWLEDGE_DISCREPANCY,), "POST"),
)
MONEY = (
    Page("/refunds", "Refunds", refunds.page, (ops.LIST_REFUNDS,), in_navigation=True),
    Page("/refunds/{refund_id}", "Refund", refunds.one, (ops.READ_REFUND,)),
    Page("/refunds/{refund_id}/settlement", "Refund", refunds.settle, (ops.SETTLE_REFUND,), "POST"),
    Page("/book", "Book of payments", refunds.book, (ops.READ_BOOK,), in_navigation=True),
)
TRUST = (
    Page("/audit", "Audit", audit.page, (ops.SEARCH_AUDIT,), in_navigation=True),
    Page("/audit/verifications", "Audit verifications", audit.verifications, (ops.LIST_VERIFICATIONS,)),
    Page("/audit/verifications/{service}", "Audit verifications", audit.verify, (ops.VERIFY_AUDIT,), "POST"),
    Page("/api-keys", "API keys", api_keys.page, (ops.LIST_API_KEYS,), in_navigation=True),
    Page("/api-keys/create", "API keys", api_keys.create, (ops.CREATE_API_KEY,), "POST"),
    Page("/api-keys/{service}/{prefix}/revoke", "API keys", api_keys.revoke, (ops.REVOKE_API_KEY,), "POST"),
)

WORK_PAGES = (*RETURNS, *FAILURES, *MESSAGES, *MONEY, *TRUST)
