"""The dashboard of events: from the outbox over Kafka to the consumers."""

from generators.dashboards.panels import Dashboard, Panel, Row
from generators.dashboards.queries import in_all, latest, p95, per_second

_OUTBOX = Row(
    "Outbox: from the database to Kafka",
    [
        Panel("Pending events", "short", "Unpublished outbox rows. They normally wait for milliseconds.",
              [latest("outbox_pending_rows", "service")]),
        Panel("Age of the oldest pending event", "s", "The alert OutboxOld fires at 30 s.",
              [latest("outbox_oldest_pending_age_seconds", "service")]),
        Panel("Held back and parked", "short", "Held back: the partition accepts none now. Parked: rejected for good.",
              [latest("outbox_held_back_rows", "service", "held back: {{service}}"),
               latest("outbox_parked_rows", "service", "parked: {{service}}")]),
        Panel("Events published", "ops", "Events per second that Kafka acknowledged.",
              [per_second("outbox_published_total", "topic")]),
        Panel("Failed rounds", "ops", "Rounds of the relay that ended with rows unsent, and rows whose lane was lost.",
              [per_second("outbox_delivery_failures_total", "service", "failed rounds of {{service}}"),
               per_second("outbox_lost_rows_total", "service", "lost lane: {{service}}")]),
        Panel("Batches of the relay", "s", "95th percentile of the time that a batch keeps the relay.",
              [p95("outbox_relay_batch_seconds", "service")]),
    ],
)  # fmt: skip

_CONSUMERS = Row(
    "Consumers: from Kafka to the databases",
    [
        Panel("From written to processed", "s", "95th percentile for each consumer. The objective is 15 s.",
              [p95("consumer_event_delay_seconds", "consumer")]),
        Panel("Consumer lag", "short", "Records behind, summed over the partitions. ConsumerBehind fires at 1000.",
              [in_all("consumer_lag", "service, topic", "{{service}} of {{topic}}")]),
        Panel("Records by outcome", "ops",
              "`skipped`: not for this consumer; `repeated`: processed before; `poisoned`: could not be processed.",
              [per_second("consumer_events_total", "service, outcome")]),
        Panel("Batches", "s", "95th percentile of the time to process and commit a batch.",
              [p95("consumer_batch_seconds", "consumer")]),
        Panel("Waiting records", "short", "They wait for a lock of another transaction, and their key with them.",
              [in_all("consumer_waiting_records", "service")]),
        Panel("Longest wait for a lock", "s", "Of a record. RecordsWait fires at two minutes.",
              [latest("consumer_waiting_age_seconds", "service")]),
        Panel("Failed commits of offsets", "ops", "The records come again, and the inbox knows them.",
              [per_second("consumer_commit_failures_total", "service")]),
        Panel("Poison records", "short", "Kept until an operator replays or discards them.",
              [latest("poison_kept_rows", "service, topic")], width=24),
    ],
)  # fmt: skip

EVENTS = Dashboard(
    "events", "ArtiCurated: events", "The way of an event: outbox, relay, Kafka, consumer.", [_OUTBOX, _CONSUMERS]
)
