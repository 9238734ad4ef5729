"""The polling helpers, and the rule that nothing else in the tests sleeps."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import eventually_true, poll, stays_true

TESTS = Path(__file__).parents[1]
# Separate programs, measurements of time, and the runner of workflows, which say themselves how long they wait.
EXCLUDED = (
    *("benchmarks", "chaos", "compose", "e2e/generated_clients"),
    *("support/waiting.py", "support/workflows/arazzo.py"),
)


def sleeps(file: Path) -> Iterator[int]:
    """The lines that sleep. `asyncio.sleep(0)` only gives way to other tasks."""
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    for call in calls:
        if ast.unparse(call.func) in ("time.sleep", "asyncio.sleep", "sleep") and ast.unparse(call.args[0]) != "0":
            yield call.lineno


def test_tests_wait_by_polling_and_never_sleep() -> None:
    files = [file for file in TESTS.rglob("*.py") if not str(file.relative_to(TESTS)).startswith(EXCLUDED)]
    assert [f"{file.relative_to(TESTS)}:{line}" for file in files for line in sleeps(file)] == []


async def test_waiting_ends_when_the_condition_becomes_true() -> None:
    answers = iter([0, 0, 7, 8])
    assert await eventually_true(lambda: next(answers)) == 7
    assert poll(lambda: next(answers)) == 8


async def test_waiting_ends_with_a_failure_at_its_deadline() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        await eventually_true(lambda: False, within=0.05)
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        poll(lambda: None, within=0.05)


async def test_a_forbidden_condition_fails_the_test_immediately() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, event.set)
    with pytest.raises(AssertionError, match="the event would be set"):
        await stays_true(lambda: not event.is_set(), seconds=10, why="the event would be set")
    await stays_true(event.is_set, seconds=0.05, why="nothing clears it")
