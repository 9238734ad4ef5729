"""Response times in the JSON metrics: those of all processes of the service in the last minutes."""

import math
from statistics import mean

import pytest
from common.database.transactions import Pool, reading
from common.edge.observation.response_times import SLOT_SECONDS, WINDOW_SECONDS, Histogram, Performance, ResponseTimes
from hypothesis import given
from hypothesis import strategies as st

NOTHING = {"avg_response_time_ms": 0.0, "p95_response_time_ms": 0.0}


async def performance(pool: Pool, times: ResponseTimes) -> Performance:
    async with reading(pool) as connection:
        return (await times.recent(connection)).performance()


async def write(pool: Pool, times: ResponseTimes) -> None:
    async with reading(pool) as connection:
        await times.write(connection)


async def test_without_requests_the_times_are_zero(pool: Pool) -> None:
    assert await performance(pool, ResponseTimes()) == NOTHING


async def test_a_process_includes_its_own_requests_before_they_are_written(pool: Pool) -> None:
    times = ResponseTimes()
    times.add(0.010)
    assert (await performance(pool, times))["avg_response_time_ms"] == 10.0


async def test_response_times_of_all_processes_are_summed_and_survive_a_restart(pool: Pool) -> None:
    first, second = ResponseTimes(), ResponseTimes()
    for seconds in (0.010, 0.020):
        first.add(seconds)
    second.add(0.060)
    await write(pool, first)
    await write(pool, second)
    restarted = ResponseTimes()
    for process in (first, second, restarted):
        assert (await performance(pool, process))["avg_response_time_ms"] == pytest.approx(30.0)


async def test_response_times_that_are_written_twice_count_once(pool: Pool) -> None:
    times = ResponseTimes()
    times.add(0.010)
    await write(pool, times)
    times.add(0.030)
    await write(pool, times)
    await write(pool, times)
    assert (await performance(pool, ResponseTimes()))["avg_response_time_ms"] == pytest.approx(20.0)


async def test_response_times_that_could_not_be_written_are_written_the_next_time(pool: Pool) -> None:
    times = ResponseTimes()
    times.add(0.010)
    async with reading(pool) as connection:
        await connection.execute("SET default_transaction_read_only = on")
        with pytest.raises(Exception, match="read-only"):
            await times.write(connection)
        await connection.execute("RESET default_transaction_read_only")
    await write(pool, times)
    assert (await performance(pool, ResponseTimes()))["avg_response_time_ms"] == pytest.approx(10.0)


async def test_only_the_last_minutes_count(pool: Pool) -> None:
    now = 1_000_000.0
    times = ResponseTimes(clock=lambda: now)
    times.add(1.0)
    now += WINDOW_SECONDS + SLOT_SECONDS
    times.add(0.010)
    assert (await performance(pool, times))["avg_response_time_ms"] == 10.0


@given(st.lists(st.floats(0.0002, 60), min_size=1, max_size=200))
def test_the_average_is_exact_and_the_error_of_the_percentile_is_below_a_tenth(seconds: list[float]) -> None:
    histogram = Histogram()
    for each in seconds:
        histogram.add(each)
    performance = histogram.performance()
    assert performance["avg_response_time_ms"] == pytest.approx(mean(seconds) * 1000, rel=1e-6, abs=1e-3)
    exact = sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1] * 1000
    assert performance["p95_response_time_ms"] == pytest.approx(exact, rel=0.101)


def test_histograms_of_several_services_add_up_to_that_of_all_their_requests() -> None:
    first, second, both, total = Histogram(), Histogram(), Histogram(), Histogram()
    for number in range(1, 400):
        seconds = number / 1000
        (first if number % 3 else second).add(seconds)
        both.add(seconds)
    for each in (first, second):
        total.merge_document(each.document())
    assert total.performance() == pytest.approx(both.performance())
