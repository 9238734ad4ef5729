"""The span of an attempt at a job: below what enqueued it, with its outcome and its error."""

from collections.abc import Iterator

import pytest
from common.database.transactions import Pool, transaction
from common.jobs import queue
from common.jobs.job import Job, NewJob
from common.telemetry.tracing import outside_call
from support.events.traceparent import TRACEPARENT
from support.jobs.handlers import FunctionHandler, running_worker
from support.telemetry.recorded_spans import RecordedSpans, recorded_spans
from support.waiting import eventually

CAUSE = "0198b2f4-0000-7000-8000-000000000001"


@pytest.fixture
def spans() -> Iterator[RecordedSpans]:
    with recorded_spans() as spans:
        yield spans


async def test_every_attempt_is_a_span_with_its_outcome_below_what_enqueued_the_job(
    pool: Pool, spans: RecordedSpans
) -> None:
    traceparents: list[str] = []

    async def work(job: Job) -> None:
        traceparents.append(job.actor.traceparent)
        with outside_call("kiln", {}):
            if job.attempt == 1:
                raise OSError("the kiln is cold")

    async with transaction(pool) as connection:
        await queue.enqueue(connection, NewJob("fire", "vase", {}, TRACEPARENT, CAUSE))
    async with running_worker(pool, FunctionHandler("fire", work)):
        await eventually(lambda: pool.fetchval("SELECT state = 'done' FROM jobs"))

    calls, attempts = ([span for span in spans.ended if span.name == name] for name in ("kiln", "job fire"))
    assert [span.attributes["articurated.job.outcome"] for span in attempts] == ["failed", "succeeded"]
    assert [span.error is None for span in attempts] == [False, True]
    assert [span.attributes["articurated.job.attempt"] for span in attempts] == [1, 2]
    for span, call, traceparent in zip(attempts, calls, traceparents, strict=True):
        assert (span.trace_id, span.parent_id) == (TRACEPARENT[3:35], TRACEPARENT[36:52])
        assert call.parent_id == span.span_id
        assert traceparent == f"00-{span.trace_id}-{span.span_id}-01"


async def test_what_follows_from_a_dead_job_is_below_its_last_attempt(pool: Pool, spans: RecordedSpans) -> None:
    async def work(_job: Job) -> None:
        raise OSError("the kiln is cold")

    handler = FunctionHandler("fire", work)
    handler.retry_delays = ()
    async with transaction(pool) as connection:
        await queue.enqueue(connection, NewJob("fire", "vase", {}, TRACEPARENT, CAUSE))
    async with running_worker(pool, handler):
        await eventually(lambda: pool.fetchval("SELECT state = 'dead' FROM jobs"))
    [span] = spans.ended
    assert span.attributes["articurated.job.outcome"] == "dead"
    dead_letter = await pool.fetchval("SELECT traceparent FROM outbox WHERE type = 'job.dead_lettered'")
    assert dead_letter == f"00-{span.trace_id}-{span.span_id}-01"
