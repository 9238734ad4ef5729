"""The places for long requests: bounded together, and for each caller."""

from contextlib import ExitStack
from uuid import UUID

import pytest
from common.access.auth import Caller, Role
from common.edge.admission.request_slots import RequestSlots
from common.errors import Code, Problem


def a_caller(number: int) -> Caller:
    return Caller(UUID(int=number), f"client-{number}", Role.CLIENT, None, None, "", scope=f"client-{number}")


def test_one_caller_leaves_a_place_for_the_next_one() -> None:
    ada, grace = a_caller(1), a_caller(2)
    slots = RequestSlots("exports", places=3)
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(slots.one_for(ada))
        with pytest.raises(Problem) as refusal:
            running.enter_context(slots.one_for(ada))
        running.enter_context(slots.one_for(grace))
    assert (refusal.value.code, refusal.value.retry_after is not None) == (Code.UNAVAILABLE, True)
    assert not slots.taken


def test_no_more_requests_run_than_there_are_places() -> None:
    slots = RequestSlots("exports", places=2)
    with slots.one_for(a_caller(1)), slots.one_for(a_caller(2)), pytest.raises(Problem), slots.one_for(a_caller(3)):
        pass
    with slots.one_for(a_caller(3)):
        assert slots.taken.total() == 1
