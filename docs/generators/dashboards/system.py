"""The dashboard of the system: what is wrong, the service levels, jobs, reconciliation, audit trail and processes."""

from generators.dashboards.panels import Dashboard, Panel, Query, Row, Stat
from generators.dashboards.queries import in_all, in_the_last_hour, latest, p95, per_second
from generators.slo import OBJECTIVES

_NOW = Row(
    "Now",
    [
        Stat(
            "Roles up", "short", "Processes whose metrics could be read at the last scrape.",
            [Query('count(up{job="articurated"} == 1)')],
        ),
        Stat(
            "Roles down", "short", "See RoleDown and RoleMissing in the runbook.",
            [Query('count(up{job="articurated"} == 0)')], red_from=1,
        ),
        Stat(
            "Alerts firing", "short", "Prometheus's page Alerts has their names.",
            [Query('count(ALERTS{alertstate="firing"})')], red_from=1,
        ),
        Stat(
            "Events parked", "short", "Kafka rejects them permanently; an operator must replay them.",
            [Query("sum(max by (service) (outbox_parked_rows))")], red_from=1,
        ),
        Stat(
            "Dead jobs", "short", "Each waits for an operator, who replays or discards it.",
            [Query("sum(max by (service, kind) (jobs_dead_rows))")], red_from=1,
        ),
        Stat(
            "Poison records", "short", "Records that could not be processed; their bytes are stored for a replay.",
            [Query("sum(max by (service, topic) (poison_kept_rows))")], red_from=1,
        ),
    ],
)  # fmt: skip

_LEVELS = Row(
    "Service levels",
    [
        *(
            Stat(
                each.title, "percentunit", f"{each.meaning} The last three days; the objective is {each.target:.0%}.",
                [Query(f'1 - max(slo:late:ratio3d{{slo="{each.name}"}})')], red_from=each.target, is_red_below=True,
            )
            for each in OBJECTIVES
        ),
        Panel(
            "Burn rate", "short",
            "How many times faster than allowed the error budget is used, over an hour: 1 uses it up in exactly its "
            "period; a page is sent from 14.4.",
            [
                Query(f'max(slo:late:ratio1h{{slo="{each.name}"}}) / {each.budget:g}', each.name)
                for each in OBJECTIVES
            ],
            width=24,
        ),
    ],
)  # fmt: skip

_JOBS = Row(
    "Jobs",
    [
        Panel("Attempts by outcome", "ops", "`failed` is retried, `dead` is not.",
              [per_second("job_attempts_total", "kind, outcome")]),
        Panel("Duration of attempts", "s", "95th percentile.", [p95("job_attempt_seconds", "kind")]),
        Panel("Start delay of jobs", "s", "Time from due to started, 95th percentile. The objective is 15 s.",
              [p95("job_start_delay_seconds", "kind")]),
        Panel("Due and not begun", "s",
              "Wait of the first due job of a kind. JobsNotStarted fires at 30 s where no worker runs an earlier one.",
              [latest("jobs_due_age_seconds", "service, kind"),
               latest("jobs_unclaimed_age_seconds", "service, kind", "unclaimed: {{service}} {{kind}}")]),
        Panel("Dead jobs by kind", "short", "The alert JobDead fires at any.",
              [latest("jobs_dead_rows", "service, kind")]),
        Panel("Paused kinds of jobs", "short", "1 while an operator has paused the kind: its jobs wait.",
              [latest("jobs_paused", "service, kind")]),
        Panel("Alerts of the services", "short", "E-mails and calls of the webhook in the last hour.",
              [in_the_last_hour("alerts_total", "service, outcome")]),
        Panel("Rows purged", "ops", "Rows deleted because their retention was over.",
              [per_second("purged_rows_total", "service, table")]),
    ],
)  # fmt: skip

_RECONCILIATION = Row(
    "Reconciliation",
    [
        Panel("Open discrepancies", "short", "The alert DiscrepancyOpen fires at any that stays for two minutes.",
              [latest("discrepancies", "service, check")]),
        Panel("Found and repaired", "short", "In the last hour.",
              [in_the_last_hour("discrepancies_found_total", "service, check", "found: {{service}} {{check}}"),
               in_the_last_hour("discrepancy_repairs_total", "service, outcome", "repair {{outcome}}: {{service}}")]),
        Panel("Checks that could not be made", "short", "In the last hour.",
              [in_the_last_hour("reconciliation_failures_total", "service, check")]),
    ],
)  # fmt: skip

_AUDIT = Row(
    "Audit trail",
    [
        Panel("Age of what is not sealed or stored", "s", "The alerts fire at five minutes.",
              [latest("audit_unsealed_age_seconds", "service", "unsealed row of {{service}}"),
               latest("audit_checkpoint_unstored_age_seconds", "service", "unstored checkpoint of {{service}}")]),
        Panel("Leaves of the log", "short", "One per audit row that is sealed.", [latest("audit_leaves", "service")]),
        Panel("Verification", "short", "Problems found by the last one, and the days since it.",
              [latest("audit_problems", "service", "problems of {{service}}"),
               Query("max by (service) (audit_verified_age_seconds) / 86400", "days since: {{service}}")]),
    ],
)  # fmt: skip

_PROCESSES = Row(
    "Processes",
    [
        Panel("Processor", "short", "Seconds of processor time per second.",
              [Query('rate(process_cpu_seconds_total{job="articurated"}[1m])', "{{service}} {{role}}")]),
        Panel("Memory", "bytes", "Resident.",
              [Query('process_resident_memory_bytes{job="articurated"}', "{{service}} {{role}}")]),
        Panel("Event loop", "s", "Largest recent delay of a scheduled task. The alert EventLoopBlocked fires at 1 s.",
              [in_all("event_loop_lag_seconds", "service, role")]),
    ],
)  # fmt: skip

SYSTEM = Dashboard(
    "system", "ArtiCurated: system", "What is wrong now, the service levels, and the work of every service.",
    [_NOW, _LEVELS, _JOBS, _RECONCILIATION, _AUDIT, _PROCESSES],
)  # fmt: skip
