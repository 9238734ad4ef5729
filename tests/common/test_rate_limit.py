"""The moving window, by a clock that the test moves, and as a client meets it."""

import pytest
from common.edge.rate_limit import RateLimit
from common.errors import Code, Problem
from harness.databases import Database
from harness.workshop import open_workshop


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_window_moves_with_the_requests() -> None:
    clock = Clock()
    limit = RateLimit(3, clock)
    for clock.now in (1000.0, 1020.0, 1040.0):
        limit.hit("anna")
    clock.now = 1059.0
    with pytest.raises(Problem) as refused:
        limit.hit("anna")
    assert refused.value.code is Code.RATE_LIMITED
    assert refused.value.retry_after == 1.0
    clock.now = 1060.0
    allowance = limit.hit("anna")
    assert allowance is not None
    assert (allowance.remaining, allowance.reset) == (0, 20.0)
    with pytest.raises(Problem):
        limit.hit("anna")


def test_refused_requests_do_not_count_and_clients_do_not_share() -> None:
    clock = Clock()
    limit = RateLimit(1, clock)
    limit.hit("anna")
    for clock.now in range(1001, 1060):
        with pytest.raises(Problem):
            limit.hit("anna")
    limit.hit("boris")
    clock.now = 1060.0
    limit.hit("anna")


def test_no_limit_admits_all() -> None:
    limit = RateLimit(0)
    assert [limit.hit("anna") for _ in range(1000)] == [None] * 1000


def test_clients_that_stay_away_are_forgotten() -> None:
    clock = Clock()
    limit = RateLimit(5, clock)
    for number in range(10_000):
        limit.hit(f"client {number}")
    clock.now += 61
    limit.hit("anna")
    assert len(limit) == 1


async def test_a_client_is_told_what_is_left_and_when_to_come_back(database: Database) -> None:
    async with open_workshop(database, rate_limit_per_minute=3) as workshop, workshop.client() as client:
        answers = [await client.get("/vases") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[0].headers["RateLimit-Policy"] == '"default";q=3;w=60'
        assert answers[2].headers["RateLimit"].startswith('"default";r=0;t=')
        assert answers[3].json()["error"]["code"] == "RATE_LIMITED"
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 60
        assert (await client.get("/health")).status_code != 429
        async with workshop.client("manager") as manager:
            assert (await manager.get("/vases")).status_code == 200


async def test_who_may_not_call_the_route_is_still_counted(database: Database) -> None:
    async with open_workshop(database, rate_limit_per_minute=2) as workshop, workshop.client("payments") as client:
        answers = [(await client.post("/vases", json={})).status_code for _ in range(3)]
        assert answers == [403, 403, 429]


async def test_trying_keys_out_is_limited_too_and_harms_no_key_that_is_in_use(database: Database) -> None:
    async with (
        open_workshop(database, rate_limit_per_minute=3, api_key_cache_seconds=0) as workshop,
        workshop.client(None) as client,
    ):
        async with workshop.client("manager") as known:
            assert (await known.get("/vases")).status_code == 200
        tried = [
            (await client.get("/vases", headers={"X-API-Key": f"client_{number}.{'x' * 40}"})).status_code
            for number in range(4)
        ]
        assert tried == [401, 401, 401, 429]
        async with workshop.client("manager") as known, workshop.client("client") as never_seen:
            assert (await known.get("/vases")).status_code == 200
            assert (await never_seen.get("/vases")).status_code == 429
