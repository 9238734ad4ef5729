"""Operators' commands have the same effects as the routes, and print text or JSON."""

import asyncio
import getpass
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from common.access.actors import command_line_id, command_line_name, subject_id
from common.access.auth import Role
from common.access.authenticator import Authenticator
from common.database.transactions import transaction
from common.messaging.outgoing.outbox import lane_of
from common.running.command_line import execute
from support.gateway.operator_tasks import SERVICE, a_dead_job, a_poison_record, audit_transitions
from support.gateway.vase_service import VaseGateway, open_vase_gateway
from support.kafka.relays import EVENT_STATES, PARK_EVENT, write_events
from support.logs import logging_restored
from support.postgres.databases import Database


@pytest_asyncio.fixture
async def vase_gateway(database: Database) -> AsyncIterator[VaseGateway]:
    async with open_vase_gateway(database, service=SERVICE) as vase_gateway:
        yield vase_gateway


class CommandLine:
    """`python -m workshop …` in this process; returns the exit code and what was printed."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured

    async def __call__(self, *arguments: str) -> tuple[int, Any]:
        self._captured.readouterr()
        code = await asyncio.to_thread(execute, SERVICE, arguments)
        output = self._captured.readouterr()
        if code == 0 and "text" not in arguments:
            return code, json.loads(output.out)
        return code, output.out + output.err


@pytest.fixture
def command_line(
    vase_gateway: VaseGateway, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    monkeypatch.setenv("DATABASE_URL", vase_gateway.runtime.settings.database_url)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    with logging_restored():
        yield CommandLine(capsys)


async def test_the_command_line_replays_jobs_records_and_events(
    vase_gateway: VaseGateway, command_line: CommandLine
) -> None:
    job = await a_dead_job(vase_gateway)
    assert (await command_line("jobs", "list", "--state", "dead"))[1]["data"][0]["id"] == str(job)
    assert (await command_line("jobs", "show", str(job)))[1]["attempts_made"][0]["error"] == "the kiln is cold"
    assert (await command_line("jobs", "replay", str(job), "--reason", "it is warm"))[1]["state"] == "ready"
    audited = await vase_gateway.pool.fetchval("SELECT details FROM audit_details")
    assert json.loads(audited)["reason"] == "it is warm"
    code, message = await command_line("jobs", "replay", str(job))
    assert (code, message) == (1, "Only a job that is dead or discarded is replayed; this one is ready.\n")
    [(_, _, actor)] = await audit_transitions(vase_gateway, "JOB", job)
    assert actor == str(command_line_id(getpass.getuser()))
    record = await a_poison_record(vase_gateway, "Vase bleu")
    assert (await command_line("poison", "list"))[1]["pagination"]["total"] == 1
    assert (await command_line("poison", "show", str(record)))[1]["state"] == "kept"
    assert (await command_line("poison", "replay", str(record)))[1]["state"] == "replayed"
    async with transaction(vase_gateway.pool) as connection:
        position = await connection.fetchval(PARK_EVENT, "vases", "Vase bleu", 1)
    assert (await command_line("outbox", "list"))[1]["data"][0]["position"] == position
    assert (await command_line("outbox", "replay", str(position)))[1]["state"] == "pending"


async def test_the_command_line_replays_and_discards_by_cause_and_pauses_kinds(
    vase_gateway: VaseGateway, command_line: CommandLine
) -> None:
    cold = [await a_dead_job(vase_gateway, f"kiln {each} is cold", business_key=f"vase-{each}") for each in range(3)]
    [group] = (await command_line("failures"))[1]["data"]
    chosen = ("--kind", "glaze", "--cause", group["cause"])
    assert (await command_line("jobs", "replay", *chosen, "--dry-run"))[1]["matched"] == 3
    assert (await command_line("jobs", "replay", *chosen)) == (1, "give a --reason\n")
    assert (await command_line("jobs", "replay")) == (1, "give --kind, --cause or both\n")
    replay = ("jobs", "replay", *chosen, "--reason", "warm", "--per-second", "10")
    assert (await command_line(*replay))[1]["changed"] == 3
    _, discarded = await command_line("jobs", "discard", str(cold[0]), "--reason", "sold")
    assert (discarded["state"], discarded["discarded_by"]) == ("discarded", command_line_name(getpass.getuser()))
    rest = ("jobs", "discard", "--kind", "glaze", "--state", "ready", "--reason", "sold")
    assert (await command_line(*rest))[1]["changed"] == 2
    assert (await command_line("kinds", "pause", "glaze", "--reason", "repair"))[1]["paused"] is True
    assert (await command_line("kinds", "pause", "glaze", "--reason", "repair"))[0] == 1
    [kind] = (await command_line("kinds", "list"))[1]["data"]
    assert (kind["paused_reason"], kind["discarded"]) == ("repair", 3)
    assert (await command_line("status"))[1]["jobs"] == [kind]
    assert "glaze" in (await command_line("status", "--format", "text"))[1]
    assert (await command_line("kinds", "resume", "glaze"))[1]["paused"] is False
    record = await a_poison_record(vase_gateway, "Vase bleu")
    assert (await command_line("poison", "discard", str(record), "--reason", "a test"))[1]["state"] == "discarded"
    assert (await command_line("poison", "replay", str(record)))[0] == 1
    position = await vase_gateway.pool.fetchval("SELECT position FROM outbox")
    assert (await command_line("outbox", "show", str(position)))[1]["payload"] == {"name": "Vase bleu"}


async def test_events_of_a_period_are_republished_except_those_that_kafka_rejects(
    vase_gateway: VaseGateway, command_line: CommandLine
) -> None:
    keys = ["old", "new", "parked", "waiting"]
    await write_events(vase_gateway.pool, "vases", keys, range(1, 3))
    await vase_gateway.pool.execute("UPDATE outbox SET created_at = '2026-03-01 09:59:59Z' WHERE key = 'old'")
    await vase_gateway.pool.execute(PARK_EVENT, "vases", "parked", 1)
    await vase_gateway.pool.execute("DELETE FROM outbox_pending WHERE lane <> $1", lane_of("waiting"))

    code, result = await command_line("outbox", "send-again", "--since", "2026-03-01T11:00:00+01:00")

    assert (code, result) == (0, {"since": "2026-03-01T11:00:00+01:00", "events": 3})
    states = {(row["key"], row["sequence"]): row["state"] for row in await vase_gateway.pool.fetch(EVENT_STATES)}
    assert {key for key, state in states.items() if state == "parked"} == {("parked", 1)}
    assert {key for key, state in states.items() if state == "published"} == {("old", 1), ("old", 2)}
    lanes = await vase_gateway.pool.fetch("SELECT key, lane FROM outbox_pending JOIN outbox USING (position)")
    assert all(row["lane"] == lane_of(row["key"]) for row in lanes)
    [(_, after, actor)] = await audit_transitions(vase_gateway, "OUTBOX", UUID(int=0))
    assert after == "PENDING"
    assert actor == str(command_line_id(getpass.getuser()))
    with pytest.raises(SystemExit):
        await command_line("outbox", "send-again", "--since", "2026-03-01T11:00:00")


async def test_the_command_line_creates_ensures_lists_and_revokes_keys(
    vase_gateway: VaseGateway, command_line: CommandLine, tmp_path: Path
) -> None:
    _, new_key = await command_line("api-keys", "create", "--role", "manager", "--name", "Maria")
    assert (await Authenticator(vase_gateway.pool, 5).look_up(new_key["key"].encode())).role is Role.MANAGER
    keys = [{"name": "local", "role": "client", "key": "client_local.0123456789abcdef", "customer_id": str(uuid4())}]
    keys[0]["subject"] = "anna"
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(keys))
    assert await command_line("api-keys", "ensure", "--from-file", str(file)) == (0, {"added": ["client_local"]})
    assert await command_line("api-keys", "ensure", "--from-file", str(file)) == (0, {"added": []})
    file.write_text(json.dumps([{**keys[0], "key": "client_local.another-secret-altogether"}]))
    code, message = await command_line("api-keys", "ensure", "--from-file", str(file))
    assert (code, message) == (
        1,
        "key client_local is there with another secret, role, customer, expiry, rate limit or subject\n",
    )
    assert (await command_line("api-keys", "revoke", "client_local"))[0] == 0
    file.write_text(json.dumps(keys))
    assert await command_line("api-keys", "ensure", "--from-file", str(file)) == (
        1,
        "key client_local was revoked: take a new one\n",
    )
    prefixes = {each["prefix"] for each in (await command_line("api-keys", "list"))[1]["data"]}
    assert {new_key["prefix"], "client_local"} <= prefixes


async def test_a_key_gets_the_person_who_uses_it_on_the_command_line(
    vase_gateway: VaseGateway, command_line: CommandLine
) -> None:
    _, new_key = await command_line("api-keys", "create", "--role", "manager", "--subject", "maria")
    listed = (await command_line("api-keys", "list"))[1]["data"]
    assert [key["subject"] for key in listed if key["prefix"] == new_key["prefix"]] == ["maria"] == [new_key["subject"]]
    actor = (await Authenticator(vase_gateway.pool, 5, issuer="i").look_up(new_key["key"].encode())).id
    assert actor == subject_id("i", "maria")
    for wrong in ("", " ", "m" * 256, "a\nb"):
        code, _ = await command_line("api-keys", "create", "--role", "manager", "--subject", wrong)
        assert code == 1


@pytest.mark.parametrize(
    ("arguments", "valid_for", "rate_limit"),
    [
        (["--expires-in", "90d", "--rate-limit", "500"], timedelta(days=90), 500),
        (["--expires-in", "12h"], timedelta(hours=12), None),
        (["--expires-at", "2999-12-31T23:00:00+01:00", "--rate-limit", "0"], None, 0),
    ],
)
async def test_a_key_gets_an_expiry_and_a_rate_limit_of_its_own_on_the_command_line(
    command_line: CommandLine, arguments: list[str], valid_for: timedelta | None, rate_limit: int | None
) -> None:
    code, new_key = await command_line("api-keys", "create", "--role", "client", *arguments)
    assert code == 0
    [listed] = [
        key for key in (await command_line("api-keys", "list"))[1]["data"] if key["prefix"] == new_key["prefix"]
    ]
    assert (listed["rate_limit"], new_key["rate_limit"]) == (rate_limit, rate_limit)
    assert listed["last_used_at"] is None
    expires_at = datetime.fromisoformat(listed["expires_at"])
    if valid_for is None:
        assert expires_at == datetime(2999, 12, 31, 22, tzinfo=UTC)
    else:
        assert abs(datetime.now(UTC) + valid_for - expires_at) < timedelta(minutes=5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--expires-in", "90"],
        ["--expires-in", "0d"],
        ["--expires-in", "-1d"],
        ["--expires-in", "99999d"],
        ["--expires-at", "2999-12-31T23:00:00"],
        ["--expires-at", "2999-12-31T23:00:00Z", "--expires-in", "1d"],
        ["--rate-limit", "-1"],
    ],
)
async def test_a_wrong_expiry_or_rate_limit_is_rejected_on_the_command_line(
    command_line: CommandLine, arguments: list[str]
) -> None:
    with pytest.raises(SystemExit):
        await command_line("api-keys", "create", "--role", "client", *arguments)


async def test_a_key_that_is_expired_already_is_not_created(command_line: CommandLine) -> None:
    expired = await command_line("api-keys", "create", "--role", "client", "--expires-at", "2026-01-01T00:00:00Z")
    assert expired == (1, "expires_at: must be in the future\n")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nonsense", "Invalid JSON"),
        ('[{"name": "x", "role": "queen", "key": "a.b"}]', "0.role"),
        ('[{"name": "x", "role": "ops", "key": "short.x"}]', "at least 16 characters"),
    ],
)
async def test_an_invalid_key_file_is_rejected_by_name(
    command_line: CommandLine, tmp_path: Path, content: str, complaint: str
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content)
    code, message = await command_line("api-keys", "ensure", "--from-file", str(file))
    assert code == 1
    assert complaint in message


async def test_a_missing_key_file_is_not_reported_as_a_database_failure(
    command_line: CommandLine, tmp_path: Path
) -> None:
    missing = tmp_path / "keys.json"
    result = await command_line("api-keys", "ensure", "--from-file", str(missing))
    assert result == (1, f"{missing}: No such file or directory\n")


async def test_the_text_format_has_aligned_columns(vase_gateway: VaseGateway, command_line: CommandLine) -> None:
    assert await command_line("jobs", "list", "--format", "text") == (0, "nothing\n")
    job = await a_dead_job(vase_gateway)
    _, table = await command_line("jobs", "list", "--format", "text")
    header, line = table.splitlines()
    assert header.index("business_key") == line.index("vase-1")
    assert header.index("last_error") == line.index("the kiln is cold")
    _, text = await command_line("jobs", "show", str(job), "--format", "text")
    assert "attempts_made:\n  number  worker" in text


async def test_a_changed_audit_row_is_named(
    database: Database, vase_gateway: VaseGateway, command_line: CommandLine
) -> None:
    job = await a_dead_job(vase_gateway)
    await command_line("jobs", "replay", str(job))
    await command_line("api-keys", "create", "--role", "ops")
    code, result = await command_line("verify-audit")
    assert (code, result["rows"], result["entities"], result["broken"]) == (0, 2, 2, None)
    await tamper(database, "UPDATE audit SET actor_id = 'nobody' WHERE entity_type = 'JOB'")
    code, output = await command_line("verify-audit", "--format", "json")
    assert code == 1
    assert json.loads(output)["broken"]["entity_id"] == str(job)
    assert json.loads(output)["broken"]["position"] == 1


async def tamper(database: Database, statement: str) -> None:
    """Change audit rows as the owner of the tables, with disabled triggers."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(f"ALTER TABLE audit DISABLE TRIGGER USER; {statement}; ALTER TABLE audit ENABLE TRIGGER USER")
    await owner.close()


async def test_an_unavailable_database_is_reported_in_one_line(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hush@127.0.0.1:9/none")
    code, message = await command_line("jobs", "list")
    assert (code, message) == (1, "The database cannot be reached: ConnectionRefusedError.\n")


@pytest.mark.parametrize(
    "command",
    ["dance", "jobs list --limit -1", "poison list --offset 2147483648", "outbox replay 9223372036854775808"],
)
async def test_an_unknown_command_prints_the_usage(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        execute(SERVICE, command.split())
    assert raised.value.code == 2
    assert "usage: python -m workshop" in capsys.readouterr().err


async def test_the_command_line_reconciles_and_lists_what_was_found(
    vase_gateway: VaseGateway, command_line: CommandLine
) -> None:
    await a_poison_record(vase_gateway, "Vase bleu")
    await vase_gateway.pool.execute("UPDATE poison SET created_at = now() - interval '2 minutes'")

    assert await command_line("reconcile", "--once") == (0, {"findings": 1})
    code, found = await command_line("discrepancies", "--state", "open")
    assert code == 0
    assert [each["check"] for each in found["data"]] == ["poison_kept"]

    [discrepancy] = found["data"]
    acknowledge = ("acknowledge", discrepancy["id"], "--reason", "a test message", "--details")
    code, message = await command_line(*acknowledge, '{"seen": 0.1}')
    assert (code, "its details are not those that were given" in str(message)) == (1, True)
    code, found = await command_line(*acknowledge, json.dumps(discrepancy["details"]))
    assert (code, found["acknowledged_reason"]) == (0, "a test message")
    assert await command_line("reconcile", "--once") == (0, {"findings": 1})
    assert (await command_line("discrepancies", "--state", "open"))[1]["data"] == []
