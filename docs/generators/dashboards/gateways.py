"""The dashboard of the HTTP interfaces: requests, their times and errors, and the limits that protect them."""

from generators.dashboards.panels import Dashboard, Panel, Row
from generators.dashboards.queries import in_all, p95, per_second
from generators.slo import READS, WRITES

_DURATION = "http_server_request_duration_seconds"

_REQUESTS = Row(
    "Requests",
    [
        Panel("Requests", "reqps", "Requests per second by service.", [per_second(f"{_DURATION}_count", "service")]),
        Panel("Rejected requests", "reqps", "4xx: errors of the caller.",
              [per_second(f'{_DURATION}_count{{status=~"4.."}}', "service, status")]),
        Panel("Failed requests", "reqps", "5xx: errors of the service. The alert RequestsFail fires at 5 %.",
              [per_second(f'{_DURATION}_count{{status=~"5.."}}', "service, status")]),
        Panel("Reads", "s", "95th percentile. The objective is 200 ms.", [p95(_DURATION, "service", READS.selector)]),
        Panel("Writes", "s", "95th percentile. The objective is 500 ms.", [p95(_DURATION, "service", WRITES.selector)]),
        Panel("Slowest routes", "s", "95th percentile of each route.", [p95(_DURATION, "service, method, route")]),
    ],
)  # fmt: skip

_LIMITS = Row(
    "Limits",
    [
        Panel("Connections", "short", "Open connections of clients.",
              [in_all("http_server_connections", "service, role")]),
        Panel("Connections ended", "ops", "By the server: a limit was reached, or a request was malformed.",
              [per_second("http_server_ended_connections_total", "service, reason")]),
        Panel("Waiting requests", "short", "They wait for their caller's share of a resource.",
              [in_all("waiting_requests", "service, resource")]),
        Panel("Refused waits", "ops", "Answered with 503: too many requests of one caller waited, or one too long.",
              [per_second("refused_waits_total", "service, resource")]),
        Panel("Expired requests", "ops", "Answered with 503 at their time limit.",
              [per_second("expired_requests_total", "service")]),
        Panel("Leases of the rate limit that failed", "ops", "Processes limit alone until the next one succeeds.",
              [per_second("rate_limit_lease_failures_total", "service")]),
    ],
)  # fmt: skip

_ORIGIN = Row(
    "One origin for both gateways",
    [
        Panel("Time at the origin", "s", "95th percentile, with the gateway's own time.",
              [p95("origin_request_duration_seconds", "target")], width=12),
        Panel("Requests without an answer", "ops", "A gateway behind the origin did not answer.",
              [per_second("origin_unanswered_requests_total", "target")], width=12),
    ],
)  # fmt: skip

_CONSOLE = Row(
    "Console",
    [
        Panel("Pages", "s", "95th percentile. A page asks several services.",
              [p95("console_request_duration_seconds", "page")], width=12),
        Panel("Calls of the services", "s", "95th percentile.",
              [p95("console_service_call_duration_seconds", "target")], width=12),
    ],
)  # fmt: skip

GATEWAYS = Dashboard(
    "gateways", "ArtiCurated: gateways", "Requests, their times and errors, and the limits that protect the services.",
    [_REQUESTS, _LIMITS, _ORIGIN, _CONSOLE],
)  # fmt: skip
