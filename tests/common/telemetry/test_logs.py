"""Logs: one JSON line per event, without secrets and e-mail addresses; traces continue across processes."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Literal

import pytest
from common.telemetry.logs import configure_logging
from common.telemetry.redaction import without_secrets
from common.telemetry.trace_context import new_traceparent, trace_id
from structlog import get_logger
from support.logs import logging_restored

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    with logging_restored():
        yield


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        "",
        "nonsense",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01\n",
    ],
)
def test_without_a_valid_parent_a_new_trace_begins(malformed: str | None) -> None:
    traceparent = new_traceparent(malformed)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", traceparent)
    assert trace_id(traceparent) != TRACE
    assert traceparent != new_traceparent(malformed)


def test_a_trace_continues_with_a_new_span_and_the_same_flags() -> None:
    traceparent = new_traceparent(f"00-{TRACE}-00f067aa0ba902b7-00")
    assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-00", traceparent)
    assert "00f067aa0ba902b7" not in traceparent


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


def test_standard_and_structured_loggers_write_the_same_format(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("orders", "api", style="json")
    get_logger("ours").info("shipped", order="1")
    logging.getLogger("theirs").warning("slow by %s s", 3)
    ours, theirs = lines(capsys)
    assert (ours["event"], ours["order"], ours["level"], ours["logger"]) == ("shipped", "1", "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow by 3 s", "warning", "theirs")
    for line in (ours, theirs):
        assert (line["service"], line["role"]) == ("orders", "api")
        assert str(line["timestamp"]).endswith("Z")


def test_lines_below_the_level_and_noise_are_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("orders", "api", style="json", level="info")
    get_logger("ours").debug("detail")
    logging.getLogger("aiokafka.consumer").info("joined")
    assert lines(capsys) == []


@pytest.mark.parametrize("prefix", ["client_0123456789ab", "ak_client_01234567"])
def test_secrets_and_email_addresses_are_never_logged(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("orders", "api", style="json")
    key = f"{prefix}.a-secret-of-some-length"
    password = "hush"
    try:
        raise ValueError(f"anna@example.com has {key} for postgresql://orders:{password}@db/orders")
    except ValueError:
        get_logger("ours").exception("failed", api_key=key, database_url="x", text=f"to anna@example.com with {key}")
    output = capsys.readouterr().err
    for secret in ("anna", "a-secret-of-some-length", "hush"):
        assert secret not in output
    assert prefix in output
    assert "Traceback" in output


@pytest.mark.parametrize("text", ["postgres.fetch", "1.5 @ 3", "a/b.c", "order 4bf9.pdf", "127.0.0.1:9092"])
def test_other_texts_are_logged_unchanged(text: str) -> None:
    assert without_secrets(text) == text


def test_the_text_style_is_readable_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("orders", "api", style="pretty")
    get_logger("ours").warning("shipped late", order="1")
    assert "shipped late" in capsys.readouterr().err


HOSTILE = "/\x1b]0;owned\x07\x1b[2J\x9b31m\r\n\x7f\u202efdp.exe\u2028\x00"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize("style", ["pretty", "json"])
def test_texts_of_clients_cannot_control_a_terminal(
    style: Literal["pretty", "json"], capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("orders", "api", style=style)
    get_logger("ours").info("request", path=HOSTILE, several=[HOSTILE], error=ValueError(HOSTILE))
    get_logger("ours").info(HOSTILE)
    logging.getLogger("theirs").warning("no route for %s", HOSTILE)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        get_logger("ours").exception("failed")
    output = capsys.readouterr().err
    without_colours = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert not CONTROLS.search(without_colours)
    assert "\x1b[2J" not in output
    assert "x1b" in output or "u001b" in output
    if style == "json":
        assert [json.loads(line).get("path", HOSTILE) for line in output.splitlines()] == [HOSTILE] * 4
