"""Every log line of a unit of work has the ids of this unit, and no line of another one has them."""

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest
from common.telemetry.log_fields import log_fields
from common.telemetry.logs import configure_logging
from common.telemetry.tracing import Work
from structlog import get_logger
from support.events.traceparent import TRACEPARENT
from support.logs import logging_restored
from support.telemetry.recorded_spans import recorded_spans

TRACE_ID = TRACEPARENT[3:35]


@pytest.fixture(autouse=True)
def json_logging() -> Iterator[None]:
    with logging_restored():
        configure_logging("orders", "api", style="json")
        yield


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_lines_of_a_unit_of_work_have_its_trace_and_its_ids(capsys: pytest.CaptureFixture[str]) -> None:
    with Work("job refund", "consumer", TRACEPARENT, log_fields={"job_id": "7"}):
        get_logger("ours").info("called")
        logging.getLogger("theirs").warning("slow")
    get_logger("ours").info("idle")
    ours, theirs, after = lines(capsys)
    for line in (ours, theirs):
        assert (line["trace_id"], line["job_id"]) == (TRACE_ID, "7")
        assert "span_id" not in line
    assert not {"trace_id", "job_id"} & after.keys()


def test_with_traces_lines_have_the_span_too(capsys: pytest.CaptureFixture[str]) -> None:
    with recorded_spans() as spans, Work("job refund", "consumer", TRACEPARENT):
        get_logger("ours").info("called")
    [line] = lines(capsys)
    assert line["span_id"] == spans.ended[0].span_id


def test_the_fields_of_a_line_come_before_those_of_its_unit_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    with log_fields(event_id="outer", key="k"), log_fields(event_id="inner"):
        get_logger("ours").info("processed", key="own")
    [line] = lines(capsys)
    assert (line["event_id"], line["key"]) == ("inner", "own")


def test_fields_are_redacted_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    with log_fields(order_id="ada@example.com"):
        get_logger("ours").info("request")
    assert lines(capsys)[0]["order_id"] == "[address]"


async def test_units_of_work_at_the_same_time_do_not_share_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    both_have_begun = asyncio.Barrier(2)

    async def attempt(job_id: str) -> None:
        with Work("job refund", "consumer", log_fields={"job_id": job_id}):
            await both_have_begun.wait()
            get_logger("ours").info("called", expected=job_id)

    await asyncio.gather(attempt("1"), attempt("2"))
    for line in lines(capsys):
        assert line["job_id"] == line["expected"]
