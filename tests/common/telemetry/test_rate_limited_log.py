"""A repeated log message is logged at intervals; other messages are not affected."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from common.telemetry.logs import configure_logging
from common.telemetry.rate_limited_log import LIBRARY_LINES, MOST_KEYS, RateLimitedLog, RepeatLimit
from structlog.testing import capture_logs
from support.logs import logging_restored


@pytest.fixture(autouse=True)
def default_logging() -> Iterator[None]:
    with logging_restored():
        yield


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_message_is_logged_once_per_interval_and_then_with_the_number_of_suppressed_ones() -> None:
    clock = Clock()
    limit = RepeatLimit(clock=clock)
    assert [limit.admit("away") for _ in range(1_000)] == [0, *[None] * 999]
    clock.seconds = 10
    assert [limit.admit("away"), limit.admit("away")] == [999, None]
    clock.seconds = 25
    assert limit.admit("away") == 1


def test_different_messages_and_keys_do_not_limit_each_other() -> None:
    with capture_logs() as logs:
        log = RateLimitedLog(structlog.get_logger())
        for _ in range(100):
            log.warning("away", about="a", topic="a")
            log.error("away", about="b", topic="b")
            log.critical("lost")
    assert [(each["log_level"], each["event"], each.get("topic")) for each in logs] == [
        ("warning", "away", "a"),
        ("error", "away", "b"),
        ("critical", "lost", None),
    ]


def test_keys_are_removed_after_their_interval() -> None:
    clock = Clock()
    limit = RepeatLimit(clock=clock)
    for key in range(MOST_KEYS + 1):
        limit.admit(key)
    clock.seconds = 20
    limit.admit(0)
    assert len(limit._intervals) == 1


def test_lines_of_a_client_library_are_limited_per_interval_and_our_own_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("orders", "consumer", style="json")
    for number in range(1_000):
        logging.getLogger("aiokafka.cluster").error("Topic %s not found in cluster metadata", number)
        logging.getLogger("ours").warning("line %d", number)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    of_logger = [[line["event"] for line in lines if line["logger"] == name] for name in ("aiokafka.cluster", "ours")]
    assert of_logger[0] == [f"Topic {number} not found in cluster metadata" for number in range(LIBRARY_LINES)]
    assert len(of_logger[1]) == 1_000
