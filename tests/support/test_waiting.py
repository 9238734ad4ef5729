"""The polling helpers, and the rule that nothing else in the tests sleeps."""

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.waiting import eventually_true, poll, stays_true

TESTS = Path(__file__).parents[1]
# Programs that are run by themselves, and measurements, in which the passing of time is the subject.
ON_THEIR_OWN = ("benchmarks", "chaos", "compose", "e2e/generated_clients", "support/waiting.py")


def sleeps(file: Path) -> Iterator[int]:
    """The lines that sleep. `asyncio.sleep(0)` only gives way to other tasks."""
    calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
    for call in calls:
        if ast.unparse(call.func) in ("time.sleep", "asyncio.sleep", "sleep") and ast.unparse(call.args[0]) != "0":
            yield call.lineno


def test_tests_wait_by_polling_and_never_sleep() -> None:
    files = [file for file in TESTS.rglob("*.py") if not str(file.relative_to(TESTS)).startswith(ON_THEIR_OWN)]
    assert [f"{file.relative_to(TESTS)}:{line}" for file in files for line in sleeps(file)] == []


async def test_a_condition_that_becomes_true_is_waited_for() -> None:
    answers = iter([0, 0, 7, 8])
    assert await eventually_true(lambda: next(answers)) == 7
    assert poll(lambda: next(answers)) == 8


async def test_waiting_ends_with_a_failure_at_its_deadline() -> None:
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        await eventually_true(lambda: False, within=0.05)
    with pytest.raises(AssertionError, match=r"not within 0\.05 s"):
        poll(lambda: None, within=0.05)


async def test_a_forbidden_condition_fails_the_test_immediately() -> None:
    happened = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, happened.set)
    with pytest.raises(AssertionError, match="the event would be set"):
        await stays_true(lambda: not happened.is_set(), seconds=10, why="the event would be set")
    await stays_true(happened.is_set, seconds=0.05, why="nobody clears it")
