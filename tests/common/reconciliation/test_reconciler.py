"""The reconciler records each discrepancy once, reports it, has it repaired, and resolves what is gone."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from common.audit.actor import Actor
from common.database.statements import Connection
from common.database.transactions import Pool, reading, transaction
from common.jobs.alerts import Alerts
from common.operators.commands import acknowledge_discrepancy
from common.reconciliation import discrepancies
from common.reconciliation.check import MOST_FINDINGS, Check, Finding
from common.reconciliation.reconciler import Reconciler
from common.reconciliation.reports import Reports
from support.events.traceparent import TRACEPARENT
from support.metrics.moved import moves
from support.running import running
from support.waiting import eventually

CRACK = Finding("vase-1", str(uuid4()), {"glaze": "blue"})
REPORTS = Reports("vases", None, Alerts("workshop", ("mail",)))


class VaseCheck(Check):
    """Finds what a test puts into `found`; a repair ends it if `heals`."""

    name = "cracked_vase"

    def __init__(self, *found: Finding, most_repairs: int = 0, heals: bool = True) -> None:
        self.found = list(found)
        self.most_repairs = most_repairs
        self.repaired: list[Finding] = []
        self._heals = heals

    async def find(self, _pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        return self.found[:most]

    async def repair(self, _connection: Connection, finding: Finding) -> None:
        self.repaired.append(finding)
        if not self._heals:
            raise RuntimeError("the glue is dry")
        self.found.remove(finding)


class BlindCheck(VaseCheck):
    async def find(self, _pool: Pool, most: int = MOST_FINDINGS) -> Sequence[Finding]:
        raise OSError("it is dark")


async def run_rounds(pool: Pool, *checks: Check, rounds: int = 1, reports: Reports = REPORTS) -> None:
    reconciler = Reconciler(pool, checks, reports, seconds=60)
    for _ in range(rounds):
        async with transaction(pool) as connection:
            assert await reconciler.run_round(connection) is not None


async def rows(pool: Pool) -> list[dict[str, Any]]:
    return [dict(row) for row in await pool.fetch("SELECT * FROM discrepancies ORDER BY first_seen")]


async def test_what_is_found_again_and_again_is_one_discrepancy_one_event_and_one_alert(pool: Pool) -> None:
    await run_rounds(pool, VaseCheck(CRACK), rounds=3)

    [row] = await rows(pool)
    assert (row["check"], row["subject"], row["key"]) == ("cracked_vase", "vase-1", CRACK.key)
    assert (row["occurrences"], row["repairs"], row["resolved_at"]) == (3, 0, None)
    assert row["last_seen"] > row["first_seen"]
    [event] = await pool.fetch("SELECT * FROM outbox")
    assert (event["type"], event["topic"], event["key"]) == ("reconciliation.discrepancy", "vases", CRACK.key)
    data = json.loads(event["payload"])
    assert data["discrepancy_id"] == str(row["id"])
    assert (data["check"], data["subject"], data["details"]) == ("cracked_vase", "vase-1", {"glaze": "blue"})
    [job] = await pool.fetch("SELECT * FROM jobs")
    assert job["kind"] == "alert"
    assert job["business_key"].startswith("mail:discrepancy:cracked_vase:vase-1:")


async def test_what_is_not_found_any_more_is_resolved_and_a_relapse_is_a_new_discrepancy(pool: Pool) -> None:
    check = VaseCheck(CRACK)
    await run_rounds(pool, check)
    check.found.clear()
    await run_rounds(pool, check)
    assert [row["resolved_at"] is not None for row in await rows(pool)] == [True]

    check.found.append(CRACK)
    await run_rounds(pool, check)

    assert [row["resolved_at"] is None for row in await rows(pool)] == [False, True]
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 2
    assert await pool.fetchval("SELECT count(*) FROM jobs") == 1  # of the same cause, once a day


async def acknowledge(pool: Pool) -> None:
    async with transaction(pool) as connection:
        [found] = [row["id"] for row in await rows(pool) if row["resolved_at"] is None]
        actor = Actor(None, "Anna", "USER", "API_CALL", TRACEPARENT)
        await acknowledge_discrepancy(connection, actor, found, "it was sold as cracked", None)


async def test_an_acknowledged_discrepancy_is_not_reported_again_until_its_details_change(pool: Pool) -> None:
    check = VaseCheck(CRACK)
    await run_rounds(pool, check)
    await acknowledge(pool)
    await run_rounds(pool, check, rounds=2)
    [row] = await rows(pool)
    assert (row["occurrences"], row["acknowledged_by"], row["resolved_at"]) == (3, "Anna", None)
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1
    async with reading(pool) as connection:
        assert await discrepancies.count_reported(connection) == {}

    check.found = [replace(CRACK, details={"glaze": "blue", "pieces": 2})]
    await run_rounds(pool, check, rounds=2)
    [row] = await rows(pool)
    assert (row["acknowledged_at"], row["acknowledged_by"], row["acknowledged_reason"]) == (None, None, None)
    events = await pool.fetch("SELECT payload FROM outbox ORDER BY position")
    assert [json.loads(each["payload"])["details"] for each in events] == [CRACK.details, check.found[0].details]
    assert await pool.fetchval("SELECT count(*) FROM jobs WHERE kind = 'alert'") == 2, "on the same day"
    async with reading(pool) as connection:
        assert await discrepancies.count_reported(connection) == {"cracked_vase": 1}
    changes = await pool.fetch("SELECT previous_state, new_state FROM audit WHERE entity_type = 'DISCREPANCY'")
    assert [tuple(each) for each in changes] == [("OPEN", "ACKNOWLEDGED"), ("ACKNOWLEDGED", "OPEN")]


async def test_details_that_change_while_a_discrepancy_is_acknowledged_are_reported(pool: Pool) -> None:
    check, changed = VaseCheck(CRACK), replace(CRACK, details={"glaze": "blue", "pieces": 2})
    await run_rounds(pool, check)
    check.found = [changed]
    async with reading(pool) as connection:  # what a round does, and an operator in the middle of it
        known = await discrepancies.open_of(connection, check.name)
        await acknowledge(pool)
        await discrepancies.see_again(connection, check, [(known[changed.subject], changed.details)])
    await run_rounds(pool, check)

    assert [row["acknowledged_at"] for row in await rows(pool)] == [None]
    events = await pool.fetch("SELECT payload FROM outbox ORDER BY position")
    assert [json.loads(each["payload"])["details"] for each in events] == [CRACK.details, changed.details]


async def test_a_relapse_that_changes_after_its_acknowledgement_alerts_although_an_earlier_one_did(pool: Pool) -> None:
    check = VaseCheck()
    for _ in range(2):
        for details in ({"pieces": 2}, {"pieces": 3}):
            check.found = [replace(CRACK, details=details)]
            await run_rounds(pool, check)
            if details["pieces"] == 2:
                await acknowledge(pool)
        check.found = []
        await run_rounds(pool, check)

    alerts = await pool.fetch("SELECT business_key FROM jobs WHERE kind = 'alert' ORDER BY created_at")
    first, *others = [row["business_key"] for row in alerts]
    assert first.startswith("mail:discrepancy:cracked_vase:vase-1:20")
    ids = [row["id"] for row in await rows(pool)]
    assert others == [f"mail:discrepancy:cracked_vase:vase-1:{each} found 1 times" for each in ids]


async def test_a_volatile_detail_may_change_after_the_acknowledgement(pool: Pool) -> None:
    check = VaseCheck(CRACK)
    check.volatile = frozenset({"seen"})
    await run_rounds(pool, check)
    await acknowledge(pool)
    for number in range(3):
        check.found = [replace(CRACK, details={**CRACK.details, "seen": number})]
        await run_rounds(pool, check)
    [row] = await rows(pool)
    assert (row["acknowledged_by"], row["occurrences"]) == ("Anna", 4)
    assert row["details"] == {"glaze": "blue", "seen": 2}, "the latest are shown"
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 1


async def test_an_acknowledged_discrepancy_that_is_gone_is_resolved_and_a_relapse_is_reported(pool: Pool) -> None:
    check = VaseCheck(CRACK)
    await run_rounds(pool, check)
    await acknowledge(pool)
    check.found.clear()
    await run_rounds(pool, check)
    check.found.append(CRACK)
    await run_rounds(pool, check)
    assert [row["acknowledged_at"] is None for row in await rows(pool)] == [False, True]
    assert await pool.fetchval("SELECT count(*) FROM outbox") == 2


async def test_a_check_that_fails_resolves_nothing_and_stops_no_other(pool: Pool) -> None:
    await run_rounds(pool, VaseCheck(CRACK))
    other = VaseCheck(replace(CRACK, subject="vase-2"))
    other.name = "missing_vase"
    await run_rounds(pool, BlindCheck(), other)

    assert [(row["check"], row["resolved_at"]) for row in await rows(pool)] == [
        ("cracked_vase", None),
        ("missing_vase", None),
    ]


async def test_discrepancies_of_a_check_that_no_longer_exists_are_resolved(pool: Pool) -> None:
    await run_rounds(pool, VaseCheck(CRACK))
    await run_rounds(pool)
    assert [row["resolved_at"] is not None for row in await rows(pool)] == [True]


@moves("discrepancy_repairs_total")
async def test_a_discrepancy_is_repaired_once_in_the_round_that_finds_it(pool: Pool) -> None:
    check = VaseCheck(CRACK, most_repairs=1)
    await run_rounds(pool, check, rounds=2)

    assert check.repaired == [CRACK]
    [row] = await rows(pool)
    assert (row["repairs"], row["repair_error"]) == (1, None)
    assert row["repaired_at"] is not None
    assert row["resolved_at"] is not None


async def test_a_repair_that_fails_is_recorded_and_tried_up_to_its_limit(pool: Pool) -> None:
    check = VaseCheck(CRACK, most_repairs=2, heals=False)
    await run_rounds(pool, check, rounds=4)

    assert len(check.repaired) == 2
    [row] = await rows(pool)
    assert (row["repairs"], row["repaired_at"], row["resolved_at"]) == (2, None, None)
    assert row["repair_error"] == "RuntimeError: the glue is dry"


async def test_one_process_at_a_time_runs_a_round(pool: Pool) -> None:
    reconciler = Reconciler(pool, [VaseCheck(CRACK)], REPORTS, seconds=60)
    async with transaction(pool) as first, transaction(pool) as second:
        assert await reconciler.run_round(first) == 1
        assert await reconciler.run_round(second) is None


async def test_rounds_are_run_until_the_process_stops(pool: Pool) -> None:
    reconciler = Reconciler(pool, [VaseCheck(CRACK)], REPORTS, seconds=0.02)

    async def seen_three_times() -> bool:
        return bool(await pool.fetchval("SELECT occurrences >= 3 FROM discrepancies"))

    async with running(reconciler.run):
        await eventually(seen_three_times)


@pytest.mark.parametrize("reports", [replace(REPORTS, topic=None), replace(REPORTS, alerts=Alerts("workshop", ()))])
async def test_without_a_topic_there_is_no_event_and_without_a_channel_no_alert(pool: Pool, reports: Reports) -> None:
    await run_rounds(pool, VaseCheck(CRACK), reports=reports)

    assert await pool.fetchval("SELECT count(*) FROM outbox") == (0 if reports.topic is None else 1)
    assert await pool.fetchval("SELECT count(*) FROM jobs") == (1 if reports.topic is None else 0)
