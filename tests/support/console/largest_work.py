"""What operators work on, with as many and as long values as the services allow."""

from typing import Any

from starlette.requests import Request
from support.console.largest_values import AT, ID, id_of, text


def a_job(number: int, state: str = "dead") -> dict[str, Any]:
    return {
        "id": id_of(number),
        "kind": "k" * 30,
        "business_key": f"cancellation:{id_of(number)}",
        "state": state,
        "attempts": 100,
        "failures": 100,
        "abandoned": 0,
        "due_at": AT,
        "leased_until": None,
        "created_at": AT,
        "started_at": AT,
        "seconds": 1.5,
        "finished_at": AT,
        "last_error": text(2000),
        "cause": text(200),
        "discarded_reason": text(500),
        "discarded_by": "b" * 100,
        "causation_id": None,
        "traceparent": "",
    }


def attempt(number: int) -> dict[str, Any]:
    times = {"started_at": AT, "finished_at": AT}
    return {"number": number, "worker": "w" * 50, "outcome": "failed", "error": text(2000), **times}


def group(number: int) -> dict[str, Any]:
    cause = f"{number} {text(200)}"[:200]
    times = {"oldest": AT, "newest": AT}
    return {"kind": "k" * 30, "cause": cause, "state": "dead", "jobs": 10_000, "example_id": ID, **times}


def kind(number: int) -> dict[str, Any]:
    counts = dict.fromkeys(("ready", "due", "retrying", "running", "dead", "discarded", "done_recently"), 1_000_000)
    pause = {"paused": True, "paused_at": AT, "paused_by": "b" * 100, "paused_reason": text(500)}
    return {"kind": f"kind-of-a-long-name-{number}", **counts, "oldest_due_at": AT, **pause}


def status(_: Request) -> Any:
    topics = [f"articurated.topic-{number}" for number in range(6)]
    return {
        "outbox": {"pending": 10**6, "held_back": 10**6, "parked": 10**6, "oldest_age_seconds": 10**6},
        "consumers": [{"topic": topic, "partition": n, "lag": 10**6} for topic in topics for n in range(50)],
        "jobs": [kind(number) for number in range(6)],
        "poison": [{"topic": topic, "kept": 10**6, "oldest": AT} for topic in topics],
        "discrepancies": [{"check": f"check_of_a_long_name_{n}", "open": 10**6, "oldest": AT} for n in range(25)],
    }


def poison(number: int) -> dict[str, Any]:
    place = {"topic": "articurated.refunds", "partition": 49, "offset": 10**12, "kind": "record", "last_offset": None}
    times = {"created_at": AT, "replayed_at": None, "discarded_at": None, "discarded_reason": None}
    cause = f"{number} {text(200)}"[:200]
    return {"id": id_of(number), **place, "error": text(2000), "cause": cause, "state": "kept", **times}


def event(number: int) -> dict[str, Any]:
    names = {"type": "t" * 60, "topic": "articurated.refunds", "key": f"cancellation:{id_of(number)}"}
    return {
        "position": 10**12 + number,
        "id": id_of(number),
        **names,
        "sequence": 10**12,
        "state": "parked",
        "created_at": AT,
        "last_error": text(2000),
        "payload": {"text": text(100_000)},
    }


def discrepancy(number: int) -> dict[str, Any]:
    details = {f"member_{n}": text(300) for n in range(5)}
    rest = dict.fromkeys(("repaired_at", "resolved_at", "acknowledged_at", "acknowledged_by", "acknowledged_reason"))
    return {
        "id": id_of(number),
        "check": "c" * 40,
        "subject": f"payment {'p' * 255}",
        "key": ID,
        "details": details,
        "first_seen": AT,
        "repair_error": text(2000),
        **rest,
    }


def audit(number: int) -> dict[str, Any]:
    metadata = {"actor_name": "n" * 100, "reason": text(1000)}
    states = {"previous_state": "PROCESSING_IN_WAREHOUSE", "new_state": "PROCESSING_IN_WAREHOUSE"}
    who = {"actor_id": ID, "actor_type": "USER", "trigger": "BACKGROUND_JOB", "ip_address": None, "created_at": AT}
    row = {"id": id_of(number), "entity_type": "PAYMENT_DISAGREEMENT", "entity_id": ID, "outcome": "REFUSED"}
    return {**row, **states, **who, "metadata": metadata}


def history(number: int) -> dict[str, Any]:
    states = {"previous_state": "REQUESTED", "new_state": "REQUESTED", "trigger": "API_CALL", "outcome": "ACCEPTED"}
    return {**audit(number), **states, "metadata": {"actor_name": "n" * 100, "manager_notes": text(1000)}}


def api_key(number: int) -> dict[str, Any]:
    rest = dict.fromkeys(("customer_id", "expires_at", "revoked_at", "rate_limit", "subject"))
    named = {"prefix": f"warehouse_{number:020}", "name": text(255), "role": "warehouse"}
    return {**named, "created_at": AT, "last_used_at": AT, **rest}


def verification(number: int) -> dict[str, Any]:
    result = {"rows": 10**9, "problems": 10**6, "broken": {"kind": "k", "explanation": text(500)}}
    return {"id": number, "requested_at": AT, "started_at": AT, "finished_at": AT, "result": result}
