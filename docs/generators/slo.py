"""The service level objectives of the contract, their recording rules and their burn-rate alerts (ADR 46)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Rules for windows are sums of the samples that the group below writes at this interval.
INTERVAL_SECONDS = 30
WINDOWS = ("30m", "1h", "6h", "3d")
# A ratio is not meaningful for a few events: so many must be late in the long window.
FEWEST_LATE = 3

# Regular expressions in a string of PromQL. An export lasts as long as its client reads.
_NOT_OF_CUSTOMERS = "|".join(
    [
        "(/api/v[0-9]+)?/(health|metrics)",
        "/livez|/readyz",
        ".*/export",
        "/api/v[0-9]+/ops/.*",
        "/docs.*|/openapi.*",
        r"\\(no route\\)",
    ]
)
_DURATION = "http_server_request_duration_seconds"


@dataclass(frozen=True)
class Objective:
    """`target` is the share of events that are at most `limit` seconds (a bucket of `histogram`) late."""

    name: str
    alert: str
    title: str
    meaning: str
    target: float
    limit: str
    histogram: str
    by: tuple[str, ...] = ("service",)
    selector: str = ""

    @property
    def budget(self) -> float:
        return round(1 - self.target, 6)

    def rate(self, suffix: str, selector: str) -> str:
        selector = ", ".join(filter(None, (self.selector, selector)))
        return f"sum by ({', '.join(self.by)}) (rate({self.histogram}_{suffix}{{{selector}}}[5m]))"


READS = Objective(
    "reads", "ReadsSlow", "Reads within 200 ms", "95 of 100 requests that only read end within 200 ms.",
    0.95, "0.2", _DURATION, selector=f'method=~"GET|HEAD", route!~"{_NOT_OF_CUSTOMERS}"',
)  # fmt: skip
WRITES = Objective(
    "writes", "WritesSlow", "Writes within 500 ms", "95 of 100 requests that change something end within 500 ms.",
    0.95, "0.5", _DURATION, selector=f'method=~"POST|PUT|PATCH|DELETE", route!~"{_NOT_OF_CUSTOMERS}"',
)  # fmt: skip
# The contract's 30 seconds from an event to its work are 15 for the event, and 15 for the job.
EVENTS = Objective(
    "events", "EventsLate", "Events within 15 s", "Events are processed within 15 s of being written.",
    0.99, "15.0", "consumer_event_delay_seconds",
)  # fmt: skip
STARTS = Objective(
    "starts", "WorkStartsLate", "Work within 15 s", "Jobs start within 15 s of their due time.",
    0.99, "15.0", "job_start_delay_seconds", by=("service", "kind"),
)  # fmt: skip
INVOICES = Objective(
    "invoices", "InvoicesLate", "Invoices within 5 min", "Invoices are issued within 5 minutes of the shipment.",
    0.99, "300.0", "invoice_issue_seconds",
)  # fmt: skip
REFUNDS = Objective(
    "refunds", "RefundsLate", "Refunds within 2 h", "Refunds succeed within 2 hours.",
    0.99, "7200.0", "refund_seconds",
)  # fmt: skip
OBJECTIVES = (READS, WRITES, EVENTS, STARTS, INVOICES, REFUNDS)


@dataclass(frozen=True)
class Burn:
    """The error budget is used `factor` times faster than allowed, over the long window and still the short one."""

    name: str
    factor: float
    long: str
    short: str
    severity: str


BURNS = (
    Burn("fast", 14.4, "1h", "5m", "critical"),
    Burn("medium", 6, "6h", "30m", "critical"),
    Burn("slow", 1, "3d", "6h", "warning"),
)


def recording_rules() -> dict[str, Any]:
    rules = [rule for each in OBJECTIVES for rule in _rates(each)]
    rules.append({"record": "slo:late:ratio5m", "expr": "slo:late:rate5m / (slo:events:rate5m > 0)"})
    for window in WINDOWS:
        late, events = (f"sum_over_time(slo:{name}:rate5m[{window}])" for name in ("late", "events"))
        rules.append({"record": f"slo:late:ratio{window}", "expr": f"{late} / ({events} > 0)"})
    for window in sorted({burn.long for burn in BURNS}):
        late = f"sum_over_time(slo:late:rate5m[{window}])"
        rules.append({"record": f"slo:late:increase{window}", "expr": f"{late} * {INTERVAL_SECONDS}"})
    return {"groups": [{"name": "slo", "interval": f"{INTERVAL_SECONDS}s", "rules": rules}]}


def _rates(objective: Objective) -> Iterator[dict[str, Any]]:
    events = objective.rate("count", "")
    in_time = objective.rate("bucket", f'le="{objective.limit}"')
    labels = {"slo": objective.name}
    yield {"record": "slo:events:rate5m", "expr": events, "labels": labels}
    yield {"record": "slo:late:rate5m", "expr": f"{events} - {in_time}", "labels": labels}


def alert_rules() -> dict[str, Any]:
    rules = [_alert(objective, burn) for objective in OBJECTIVES for burn in BURNS]
    return {"groups": [{"name": "service levels", "rules": rules}]}


def _alert(objective: Objective, burn: Burn) -> dict[str, Any]:
    of = f'{{slo="{objective.name}"}}'
    most = f"{round(burn.factor * objective.budget, 6):g}"
    who = " ".join(f"{{{{ $labels.{label} }}}}" for label in objective.by)
    return {
        "alert": objective.alert,
        "expr": f"slo:late:ratio{burn.long}{of} > {most}\n"
        f"and slo:late:ratio{burn.short}{of} > {most}\n"
        f"and slo:late:increase{burn.long}{of} >= {FEWEST_LATE}\n",
        "labels": {"severity": burn.severity, "burn": burn.name},
        "annotations": {
            "summary": f"{who}: {{{{ $value | humanizePercentage }}}} missed the objective “{objective.title}” in the "
            f"last {burn.long}",
            "runbook_url": f"docs/operations.md#{objective.alert.lower()}",
        },
    }
