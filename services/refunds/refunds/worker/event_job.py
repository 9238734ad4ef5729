"""The job that applies an event of the payment provider (ADR 36)."""

from collections.abc import Mapping

from common.database.statements import Connection
from common.jobs.handler import JobHandler, Subject
from common.jobs.job import Job
from prometheus_client import Counter

from refunds.use_cases import provider_events
from refunds.use_cases.jobs import EVENT_JOB


class EventJob(JobHandler):
    kind = EVENT_JOB
    retry_delays = (1, 2, 4, 8, 16, 32)
    finds_earlier_work = True
    counter = Counter("gateway_events_total", "Events of the payment provider, by how their job ended.", ["outcome"])
    success = "applied"
    failure_message = "an event of the payment provider could not be applied"

    async def work(self, _job: Job) -> Mapping[str, object]:
        """An event changes only our data, in the transaction that completes the job."""
        return {}

    async def on_success(self, connection: Connection, job: Job) -> None:
        await provider_events.apply(connection, job.payload, job.actor)

    async def on_failure(self, _connection: Connection, job: Job, _error: str) -> Subject:
        return Subject(job.business_key, {"event_id": job.payload["event_id"]})
