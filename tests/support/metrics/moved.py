"""Marks a test that moves a metric of this process, and checks that it does."""

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from prometheus_client import REGISTRY, Gauge

Arguments = ParamSpec("Arguments")


def moves(
    *names: str,
) -> Callable[[Callable[Arguments, Awaitable[None]]], Callable[Arguments, Awaitable[None]]]:
    """The test fails if, at its end, a metric has the value that it had before, summed over its labels.

    tests/deploy/test_metrics_of_a_stack.py looks for this mark: what no test of a whole stack moves needs one."""

    def mark(test: Callable[Arguments, Awaitable[None]]) -> Callable[Arguments, Awaitable[None]]:
        @functools.wraps(test)
        async def checked(*positional: Arguments.args, **named: Arguments.kwargs) -> None:
            for name in names:
                _forget(name)
            before = {name: _total(name) for name in names}
            await test(*positional, **named)
            assert [name for name in names if _total(name) == before[name]] == [], "not moved"

        return checked

    return mark


def _forget(name: str) -> None:
    """A gauge still has the value of an earlier test."""
    gauge = REGISTRY._names_to_collectors.get(name)
    if isinstance(gauge, Gauge):
        if gauge._labelnames:
            gauge.clear()
        else:
            gauge.set(0)


def _total(name: str) -> float:
    return sum(sample.value for metric in REGISTRY.collect() for sample in metric.samples if sample.name == name)
