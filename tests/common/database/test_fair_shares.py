"""Fair shares of a limited number of places: how many one owner gets, and who gets the next free one."""

import asyncio
from typing import Any

import pytest
from common.database.failures import DatabaseUnavailable
from common.database.fair_shares import FairShares
from common.errors import Code, Problem
from prometheus_client import REGISTRY
from support.metrics.moved import moves


def shares(places: int = 10, share: float = 0.7, **options: Any) -> FairShares:
    return FairShares("tests", places, share=share, **{"waiting_limit": 100, "seconds": 30, **options})


def take_all(fair: FairShares, owner: str) -> int:
    """The number of places that the owner gets without waiting."""
    number = 0
    while fair.take_free(owner):
        number += 1
    return number


@pytest.mark.parametrize(
    ("places", "share", "numbers"),
    [
        (10, 0.7, [7, 2, 1, 0]),
        (10, 0.5, [5, 2, 1, 1, 1, 0]),
        (10, 1, [10, 0]),
        (3, 0.75, [2, 1, 0]),
        (2, 0.7, [1, 1, 0]),
        (1, 0.7, [1, 0]),
    ],
)
def test_each_owner_gets_its_part_of_what_the_others_leave(places: int, share: float, numbers: list[int]) -> None:
    fair = shares(places, share)
    assert [take_all(fair, f"owner {number}") for number in range(len(numbers))] == numbers


def test_all_places_are_free_again_when_they_are_given_back() -> None:
    fair = shares()
    for _ in range(3):
        assert take_all(fair, "anna") == 7
        for _ in range(7):
            fair.give_back("anna")


async def take_place(fair: FairShares, owner: str) -> None:
    """With a wait if necessary."""
    if not fair.take_free(owner):
        await fair.wait(owner)


async def taking(fair: FairShares, owner: str, served: list[str]) -> "asyncio.Task[None]":
    """A task that waits for a place."""

    async def take() -> None:
        await take_place(fair, owner)
        served.append(owner)

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    return task


async def test_a_free_place_goes_to_an_owner_without_one_and_the_last_one_stays_for_a_newcomer() -> None:
    fair, served = shares(4, 0.5), list[str]()
    held = {owner: take_all(fair, owner) for owner in ("anna", "boris", "carla")}
    assert held == {"anna": 2, "boris": 1, "carla": 1}
    tasks = [await taking(fair, owner, served) for owner in ("anna", "anna", "dora", "emil", "dora", "emil")]
    for owner in ("anna", "boris", "carla"):
        fair.give_back(owner)
        await asyncio.sleep(0)
    assert served == ["dora", "emil"]
    assert take_all(fair, "fatma") == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@moves("refused_waits_total")
async def test_more_waiting_requests_of_one_owner_are_refused_and_others_may_wait() -> None:
    fair, served = shares(1, waiting_limit=2), list[str]()
    await take_place(fair, "anna")
    tasks = [await taking(fair, "anna", served) for _ in range(2)]
    with pytest.raises(Problem) as raised:
        await take_place(fair, "anna")
    assert (raised.value.code, raised.value.details, raised.value.retry_after) == (Code.RATE_LIMITED, {"limit": 2}, 1)
    tasks.append(await taking(fair, "boris", served))
    for owner in ("anna", "anna", "boris"):
        fair.give_back(owner)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    assert served == ["anna", "boris", "anna"]


async def test_the_number_of_waiting_requests_is_shown() -> None:
    def waiting() -> float:
        metrics = [metric for metric in REGISTRY.collect() if metric.name == "waiting_requests"]
        return sum(sample.value for metric in metrics for sample in metric.samples)

    fair, before = shares(1, 1), waiting()
    await take_place(fair, "anna")
    task = await taking(fair, "anna", [])
    assert waiting() == before + 1
    fair.give_back("anna")
    await task
    assert waiting() == before


async def test_a_wait_ends_after_its_time() -> None:
    fair = shares(1, seconds=0.05)
    await take_place(fair, "anna")
    with pytest.raises(DatabaseUnavailable):
        await take_place(fair, "boris")
    fair.give_back("anna")
    assert take_all(fair, "boris") == 1


async def test_cancelled_waits_leave_nothing_behind_even_in_the_moment_of_their_turn() -> None:
    fair, served = shares(1), list[str]()
    for _ in range(50):
        await take_place(fair, "anna")
        waiting = [await taking(fair, owner, served) for owner in ("boris", "carla", "anna")]
        waiting[2].cancel()
        fair.give_back("anna")  # gives the place to the first one, which is then cancelled
        waiting[0].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert served.pop() == "carla"
        fair.give_back("carla")
    assert served == []
    assert take_all(fair, "anna") == 1
