"""On a running stack every metric of the dashboards and the rules exists, and moves when its cause happens."""

import re
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from demo.client import Shop
from generators.monitored import metrics_in_use
from local_stack.stack_json import StackDescription
from support.metrics.causes import CAUSES, Cause
from support.metrics.scrapes import Scrapes
from support.processes.stack import new_stack
from support.project.documents import ROOT
from support.waiting import eventually

SETTINGS = {
    "RATE_LIMIT_PER_MINUTE": "0",
    "RETRY_UNIT_SECONDS": "0.05",
    "RECONCILE_SECONDS": "1",
    "OPS_EMAIL": "ops@articurated.example",
    "RETURN_REVIEW_HOURS": "0.0003",
}
# What a test of a whole stack cannot move in seconds, with the reason. The test that moves it has the mark `moves`.
MOVED_ELSEWHERE = {
    "audit_checkpoint_unstored_age_seconds": "the local stack stores no checkpoints outside the database",
    "audit_problems": "the audit trail would have to be damaged",
    "audit_unsealed_age_seconds": "a row is sealed within a second",
    "audit_verified_age_seconds": "a complete verification is made once a day",
    "book_disagreements": "the provider would have to report another amount",
    "book_payments_in_excess": "the provider would have to be paid back by hand",
    "book_trial_balance_difference": "the database refuses it; its constraint would have to be removed",
    "console_service_call_duration_seconds_bucket": "the demo has no session at the console",
    "consumer_lag": "a consumer is behind for milliseconds",
    "consumer_waiting_age_seconds": "a transaction would have to hold a lock for seconds",
    "consumer_waiting_records": "a transaction would have to hold a lock for seconds",
    "discrepancy_repairs_total": "a check looks only at what is older than a minute",
    "expired_requests_total": "takes HTTP_REQUEST_SECONDS",
    "gateway_events_swept_total": "webhooks come before a sweep",
    "jobs_due_age_seconds": "a job begins within milliseconds",
    "jobs_unclaimed_age_seconds": "a job begins within milliseconds",
    "jobs_paused": "an operator's action, with tests of its own",
    "origin_unanswered_requests_total": "a gateway would have to be down",
    "outbox_lost_rows_total": "a relay would have to lose its lease while it sends",
    "outbox_held_back_rows": "a single partition would have to be without a leader",
    "purged_rows_total": "takes the retention of days",
    "rate_limit_lease_failures_total": "the demo has no rate limit",
    "refunds_unknown_age_seconds": "a look-up answers within a second",
    "refused_waits_total": "more requests of one caller would have to wait than a test should send",
    "waiting_requests": "more requests of one caller would have to wait than a test should send",
}

# Not moved by any test: in the process of a test they cannot be caused without replacing a part.
NOT_MOVED = {"consumer_commit_failures_total": "the broker would have to fail between a batch and its commit"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def stack() -> Iterator[StackDescription]:
    with new_stack(SETTINGS) as running:
        yield running.description


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def shop(stack: StackDescription) -> AsyncIterator[Shop]:
    shop = Shop(stack, patience=60)
    yield shop
    await shop.close()


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def scrapes(stack: StackDescription) -> Scrapes:
    scrapes = Scrapes(stack)
    await scrapes.look()
    return scrapes


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.begin.__name__)
async def test_metrics_move_when_their_cause_happens(cause: Cause, shop: Shop, scrapes: Scrapes) -> None:
    async with cause.begin(shop):

        async def all_moved() -> bool:
            await scrapes.look(cause.looks_at)
            return set(cause.moves) <= scrapes.moved

        try:
            await eventually(all_moved, within=60, pause=0.5)
        except AssertionError:
            pytest.fail(f"not moved: {sorted(set(cause.moves) - scrapes.moved)}")


def test_every_metric_has_a_cause_on_the_stack_or_a_test_of_its_own() -> None:
    moved = {name for cause in CAUSES for name in cause.moves}
    assert metrics_in_use() - moved == {*MOVED_ELSEWHERE, *NOT_MOVED}


def test_a_metric_that_the_stack_does_not_move_is_moved_by_a_test_of_its_own() -> None:
    texts = [file.read_text() for file in (ROOT / "tests").rglob("test_*.py")]
    shown = [name for text in texts for name in re.findall(r'(?:metric\.name == |get_sample_value\()"(\w+)"', text)]
    marks = [mark for text in texts for mark in re.findall(r"^@moves\((.*?)\)\n", text, re.MULTILINE | re.DOTALL)]
    moved = {name for mark in marks for name in re.findall(r'"(\w+)"', mark)}
    assert set(MOVED_ELSEWHERE) - moved - set(shown) == set()
