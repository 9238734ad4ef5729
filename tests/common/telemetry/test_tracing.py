"""Spans of units of work and of outside calls: their parents, names, attributes and errors."""

import re
from collections.abc import Iterator

import pytest
from common.telemetry.trace_context import trace_id
from common.telemetry.tracing import Work, note, outside_call, traceparent_below
from support.events.traceparent import TRACEPARENT
from support.telemetry.recorded_spans import RecordedSpans, recorded_spans


@pytest.fixture
def spans() -> Iterator[RecordedSpans]:
    with recorded_spans() as spans:
        yield spans


def test_a_unit_of_work_is_a_span_below_its_parent_in_another_process(spans: RecordedSpans) -> None:
    with Work("job refund", "consumer", TRACEPARENT, attributes={"articurated.job.attempt": 2}) as work:
        pass
    [span] = spans.ended
    assert (span.name, span.kind, span.error) == ("job refund", "consumer", None)
    assert span.attributes == {"articurated.job.attempt": 2}
    assert work.traceparent == f"00-{span.trace_id}-{span.span_id}-01"
    assert (span.trace_id, span.parent_id) == (TRACEPARENT[3:35], TRACEPARENT[36:52])
    assert span.service == "example"


@pytest.mark.parametrize("parent", [None, "nonsense"])
def test_without_a_valid_parent_a_unit_of_work_begins_a_trace(spans: RecordedSpans, parent: str | None) -> None:
    with Work("repair", "internal"), Work("job refund", "consumer", parent):
        pass
    inner, outer = spans.ended
    assert inner.parent_id is None
    assert inner.trace_id != outer.trace_id


def test_changes_and_outside_calls_are_below_the_current_unit_of_work(spans: RecordedSpans) -> None:
    with Work("job refund", "consumer", TRACEPARENT) as work:
        assert traceparent_below(TRACEPARENT) == work.traceparent
        with outside_call("SMTP", {"server.address": "mail.example"}):
            pass
    call, attempt = spans.ended
    assert (call.name, call.kind, call.parent_id) == ("SMTP", "client", attempt.span_id)


def test_outside_a_unit_of_work_a_change_has_the_parent_itself_and_a_call_no_span(spans: RecordedSpans) -> None:
    assert traceparent_below(TRACEPARENT) == TRACEPARENT
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", traceparent_below())
    with outside_call("SMTP", {}):
        pass
    assert spans.ended == []


def test_an_exception_marks_a_span_as_failed_without_addresses_and_keys(spans: RecordedSpans) -> None:
    key = "client_0123456789ab.a-secret-of-some-length"
    with pytest.raises(ValueError, match="ada"), Work("job mail", "consumer"), outside_call("SMTP", {}):
        raise ValueError(f"550 ada@example.com {key} {'x' * 1000}")
    for span in spans.ended:
        assert span.error is not None
        assert span.error.startswith("550 [address] client_0123456789ab.[redacted]")
        assert len(span.error) <= 256
        assert span.attributes["error.type"] == "ValueError"


def test_an_error_that_does_not_leave_its_block_can_be_noted(spans: RecordedSpans) -> None:
    with Work("job mail", "consumer"):
        note({"articurated.job.outcome": "failed"}, "no route")
    [span] = spans.ended
    assert (span.error, span.attributes["articurated.job.outcome"]) == ("no route", "failed")


def test_texts_are_cut(spans: RecordedSpans) -> None:
    with Work("request", "server", attributes={"url.path": "/" * 5000}):
        pass
    assert len(str(spans.ended[0].attributes["url.path"])) == 256


def test_what_the_parent_does_not_keep_is_not_kept_and_says_so_to_what_follows(spans: RecordedSpans) -> None:
    unsampled = f"{TRACEPARENT[:-2]}00"
    with Work("job refund", "consumer", unsampled) as work, outside_call("SMTP", {}):
        assert traceparent_below(unsampled) == work.traceparent
    assert spans.ended == []
    assert trace_id(work.traceparent) == trace_id(unsampled)
    assert work.traceparent.endswith("-00")


def test_the_sampler_of_the_standard_variables_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    with recorded_spans() as spans:
        with Work("request", "server") as work:
            pass
        with Work("job refund", "consumer", TRACEPARENT):
            pass
    assert work.traceparent.endswith("-00")
    assert [span.name for span in spans.ended] == ["job refund"]


def test_without_a_collector_each_unit_of_work_has_its_place_in_the_trace() -> None:
    with Work("job refund", "consumer", TRACEPARENT) as work:
        note({"articurated.job.outcome": "failed"}, "no route")
        with outside_call("SMTP", {}) as call:
            call.end({"http.response.status_code": 500})
        below = traceparent_below(TRACEPARENT)
    assert work.span is None
    assert len({TRACEPARENT, work.traceparent, below}) == 3
    assert {trace_id(each) for each in (work.traceparent, below)} == {trace_id(TRACEPARENT)}
