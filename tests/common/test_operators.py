"""What operators see and do, over HTTP and on the command line, and what the audit keeps of it."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from common import audit, jobs
from common.access import api_keys
from common.access.auth import Authenticator, Role
from common.database.statements import Connection
from common.database.transactions import reading, transaction
from common.jobs import NewJob
from common.messaging import outbox, poison
from common.messaging.envelope import EventView, event_headers
from common.messaging.outbox import NewEvent, lane_of
from common.messaging.records import EventHandler, Handlers, Incoming
from common.running.command_line import execute
from common.telemetry import new_traceparent
from harness.databases import Database
from harness.logs import logging_restored
from harness.relaying import PARK, STATES, write_events
from harness.workshop import WORKSHOP, Workshop, open_workshop


class VaseBroken(EventView):
    name: str


async def mourn(connection: Connection, events: Any) -> None:
    for each in events:
        incoming: Incoming[VaseBroken] = each
        if incoming.data.name == "cursed":
            raise RuntimeError("no words")
        await connection.execute("INSERT INTO vases (id, name, price) VALUES ($1, $2, 0)", uuid4(), incoming.data.name)


HANDLERS: Handlers = {"vase.broken": EventHandler(VaseBroken, mourn)}
SERVICE = replace(WORKSHOP, event_handlers=lambda _: HANDLERS)
PAYLOAD = {"order": "1"}


@pytest_asyncio.fixture
async def workshop(database: Database) -> AsyncIterator[Workshop]:
    async with open_workshop(database, service=SERVICE) as workshop:
        yield workshop


@pytest_asyncio.fixture
async def ops(workshop: Workshop) -> AsyncIterator[httpx.AsyncClient]:
    async with workshop.client("ops") as client:
        yield client


async def a_dead_job(workshop: Workshop) -> UUID:
    async with transaction(workshop.pool) as connection:
        await jobs.enqueue(connection, NewJob("glaze", "vase-1", PAYLOAD, new_traceparent()))
        [job] = await jobs.claim(connection, {"glaze": 1}, lease=timedelta(seconds=9), worker="kiln-1")
        await jobs.bury(connection, job, "the kiln is cold")
        return job.id


async def a_poisoned_record(workshop: Workshop, name: str) -> UUID:
    """The record of an event that says that a vase of this name is broken."""
    data = json.dumps({"name": name}).encode()
    event = NewEvent("vase.broken", "vases", "vase", "1", "1", 1, data, new_traceparent())
    async with transaction(workshop.pool) as connection:
        await outbox.append(connection, event)
        row = await connection.fetchrow("SELECT * FROM outbox")
        assert row is not None
        record = Record(headers=[(key, value) for key, value in event_headers("workshop", dict(row))], value=event.data)
        await poison.keep(connection, "workshop", record, "RuntimeError('once')")
        found: UUID = await connection.fetchval("SELECT id FROM poison")
        return found


class Record:
    topic, partition, offset, key, timestamp = "vases", 0, 7, b"1", 1_700_000_000_000

    def __init__(self, headers: list[tuple[str, bytes | None]], value: bytes | None) -> None:
        self.headers = headers
        self.value = value


async def a_parked_event(workshop: Workshop) -> int:
    async with transaction(workshop.pool) as connection:
        event = NewEvent("vase.made", "vases", "vase", "1", "1", 1, b"{}", new_traceparent())
        await outbox.append(connection, event)
        parked: int = await connection.fetchval(PARK, "vases", "1", 1)
        return parked


async def audited(workshop: Workshop, entity_type: str, entity_id: UUID) -> list[tuple[str | None, str, str]]:
    async with reading(workshop.pool) as connection:
        rows = await audit.history(connection, entity_type, entity_id)
    assert audit.first_broken(rows) is None
    return [(row["previous_state"], row["new_state"], row["actor_id"]) for row in rows]


async def test_only_operators_are_let_in(workshop: Workshop) -> None:
    paths = ["jobs", "poison", "outbox", "api-keys", f"jobs/{uuid4()}", f"poison/{uuid4()}"]
    for role in set(Role) - {Role.OPS}:
        async with workshop.client(role) as client:
            assert {(await client.get(f"/ops/{path}")).status_code for path in paths} == {403}


async def test_jobs_are_listed_by_state_and_shown_with_their_attempts(
    workshop: Workshop, ops: httpx.AsyncClient
) -> None:
    job = await a_dead_job(workshop)
    dead = (await ops.get("/ops/jobs?state=dead&kind=glaze")).json()
    assert [each["id"] for each in dead["data"]] == [str(job)]
    assert dead["pagination"] == {"limit": 20, "offset": 0, "total": 1, "has_more": False}
    assert (await ops.get("/ops/jobs?state=ready")).json()["data"] == []
    assert (await ops.get("/ops/jobs?state=asleep")).status_code == 422
    shown = (await ops.get(f"/ops/jobs/{job}")).json()
    assert (shown["state"], shown["last_error"]) == ("dead", "the kiln is cold")
    [attempt] = shown["attempts_made"]
    assert (attempt["number"], attempt["worker"], attempt["outcome"]) == (1, "kiln-1", "failed")
    assert attempt["error"] == "the kiln is cold"


async def test_a_dead_job_is_replayed_once_and_the_audit_says_by_whom(
    workshop: Workshop, ops: httpx.AsyncClient
) -> None:
    job = await a_dead_job(workshop)
    assert (await ops.post(f"/ops/jobs/{job}/replay")).json()["state"] == "ready"
    again = await ops.post(f"/ops/jobs/{job}/replay")
    assert (again.status_code, again.json()["error"]["details"]) == (409, {"state": "ready"})
    assert (await ops.post(f"/ops/jobs/{uuid4()}/replay")).status_code == 404
    who = workshop.keys["ops"].partition(".")[0]
    assert await audited(workshop, "JOB", job) == [("DEAD", "READY", who)]


async def test_a_kept_record_is_shown_byte_for_byte_and_handled_when_replayed(
    workshop: Workshop, ops: httpx.AsyncClient
) -> None:
    record = await a_poisoned_record(workshop, "Vase bleu")
    [listed] = (await ops.get("/ops/poison?state=kept")).json()["data"]
    assert (listed["id"], listed["topic"], listed["offset"]) == (str(record), "vases", 7)
    shown = (await ops.get(f"/ops/poison/{record}")).json()
    assert b64decode(shown["value"]) == b'{"name": "Vase bleu"}'
    assert b64decode(shown["key"]) == b"1"
    assert (await ops.post(f"/ops/poison/{record}/replay")).json()["state"] == "replayed"
    assert (await ops.post(f"/ops/poison/{record}/replay")).status_code == 409
    assert (await ops.get("/vases?name=Vase bleu")).json() == 1
    assert [each[:2] for each in await audited(workshop, "POISON", record)] == [("KEPT", "REPLAYED")]
    assert (await ops.get(f"/ops/poison/{uuid4()}")).status_code == 404


async def test_a_record_that_still_fails_stays_kept_and_tells_nothing_of_why(
    workshop: Workshop, ops: httpx.AsyncClient
) -> None:
    record = await a_poisoned_record(workshop, "cursed")
    answer = await ops.post(f"/ops/poison/{record}/replay")
    assert answer.status_code == 409
    assert "no words" not in answer.text
    assert (await ops.get(f"/ops/poison/{record}")).json()["state"] == "kept"
    assert await audited(workshop, "POISON", record) == []


async def test_a_parked_event_is_given_back_to_the_relay(workshop: Workshop, ops: httpx.AsyncClient) -> None:
    position = await a_parked_event(workshop)
    [listed] = (await ops.get("/ops/outbox?state=parked")).json()["data"]
    assert (listed["position"], listed["last_error"]) == (position, "too large")
    assert (await ops.post(f"/ops/outbox/{position}/replay")).json()["state"] == "pending"
    assert (await ops.post(f"/ops/outbox/{position}/replay")).status_code == 409
    assert (await ops.post("/ops/outbox/999/replay")).status_code == 404
    assert (await ops.get("/ops/outbox")).json()["data"] == []
    assert [each[:2] for each in await audited(workshop, "OUTBOX", UUID(listed["id"]))] == [("PARKED", "PENDING")]


async def test_a_key_is_shown_once_works_at_once_and_is_revoked(workshop: Workshop, ops: httpx.AsyncClient) -> None:
    customer = str(uuid4())
    made = (await ops.post("/ops/api-keys", json={"name": "Anna", "role": "client", "customer_id": customer})).json()
    async with workshop.client(None, **{"X-API-Key": made["key"]}) as anna:
        assert (await anna.get("/vases")).status_code == 200
    listed = (await ops.get("/ops/api-keys")).json()["data"]
    assert made["key"].partition(".")[2] not in str(listed)
    assert (listed[-1]["prefix"], listed[-1]["customer_id"]) == (made["prefix"], customer)
    assert (await ops.delete(f"/ops/api-keys/{made['prefix']}")).status_code == 200
    assert (await ops.delete(f"/ops/api-keys/{made['prefix']}")).status_code == 409
    assert (await ops.delete("/ops/api-keys/nobody")).status_code == 404
    states = [each[:2] for each in await audited(workshop, "API_KEY", api_keys.entity_id(made["prefix"]))]
    assert states == [(None, "ACTIVE"), ("ACTIVE", "REVOKED")]


async def test_a_new_keys_secret_is_not_kept_for_a_repeated_request(workshop: Workshop) -> None:
    async with workshop.client("ops", **{"Idempotency-Key": "a key for Anna"}) as ops:
        first, again = [await ops.post("/ops/api-keys", json={"name": "Anna", "role": "client"}) for _ in range(2)]
    assert (again.status_code, again.headers["Idempotency-Replayed"]) == (201, "true")
    assert again.json() == {**first.json(), "key": None}
    async with reading(workshop.pool) as connection:
        [kept] = await connection.fetch("SELECT body FROM idempotency_keys")
    assert first.json()["key"].partition(".")[2] not in kept["body"].decode()


@pytest.mark.parametrize(
    "key",
    [
        {"name": "", "role": "client"},
        {"name": "Anna\nrevoked", "role": "client"},
        {"name": "Anna", "role": "queen"},
        {"name": "Anna", "role": "ops", "customer_id": str(uuid4())},
        {"name": "Anna", "role": "client", "expires": "never"},
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(ops: httpx.AsyncClient, key: dict[str, str]) -> None:
    assert (await ops.post("/ops/api-keys", json=key)).status_code == 422


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
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[CommandLine]:
    monkeypatch.setenv("DATABASE_URL", workshop.runtime.settings.database_url)
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    with logging_restored():
        yield CommandLine(capsys)


async def test_the_command_line_replays_jobs_records_and_events(workshop: Workshop, command_line: CommandLine) -> None:
    job = await a_dead_job(workshop)
    assert (await command_line("jobs", "list", "--state", "dead"))[1]["data"][0]["id"] == str(job)
    assert (await command_line("jobs", "show", str(job)))[1]["attempts_made"][0]["error"] == "the kiln is cold"
    assert (await command_line("jobs", "replay", str(job)))[1]["state"] == "ready"
    code, message = await command_line("jobs", "replay", str(job))
    assert (code, message) == (1, "Only a dead job is replayed; this one is ready.\n")
    [(_, _, actor)] = await audited(workshop, "JOB", job)
    assert actor.endswith(" (command line)")
    record = await a_poisoned_record(workshop, "Vase bleu")
    assert (await command_line("poison", "list"))[1]["pagination"]["total"] == 1
    assert (await command_line("poison", "show", str(record)))[1]["state"] == "kept"
    assert (await command_line("poison", "replay", str(record)))[1]["state"] == "replayed"
    async with transaction(workshop.pool) as connection:
        position = await connection.fetchval(PARK, "vases", "1", 1)
    assert (await command_line("outbox", "list"))[1]["data"][0]["position"] == position
    assert (await command_line("outbox", "replay", str(position)))[1]["state"] == "pending"


async def test_events_of_some_time_are_sent_again_but_for_those_that_kafka_refuses(
    workshop: Workshop, command_line: CommandLine
) -> None:
    keys = ["old", "new", "parked", "waiting"]
    await write_events(workshop.pool, "vases", keys, range(1, 3))
    await workshop.pool.execute("UPDATE outbox SET created_at = '2026-03-01 09:59:59Z' WHERE key = 'old'")
    await workshop.pool.execute(PARK, "vases", "parked", 1)
    await workshop.pool.execute("DELETE FROM outbox_pending WHERE lane <> $1", lane_of("waiting"))

    code, answer = await command_line("outbox", "send-again", "--since", "2026-03-01T11:00:00+01:00")

    assert (code, answer) == (0, {"since": "2026-03-01T11:00:00+01:00", "events": 3})
    states = {(row["key"], row["sequence"]): row["state"] for row in await workshop.pool.fetch(STATES)}
    assert {key for key, state in states.items() if state == "parked"} == {("parked", 1)}
    assert {key for key, state in states.items() if state == "published"} == {("old", 1), ("old", 2)}
    lanes = await workshop.pool.fetch("SELECT key, lane FROM outbox_pending JOIN outbox USING (position)")
    assert all(row["lane"] == lane_of(row["key"]) for row in lanes)
    [(_, after, actor)] = await audited(workshop, "OUTBOX", UUID(int=0))
    assert after == "PENDING"
    assert actor.endswith(" (command line)")
    with pytest.raises(SystemExit):
        await command_line("outbox", "send-again", "--since", "2026-03-01T11:00:00")


async def test_the_command_line_makes_ensures_lists_and_revokes_keys(
    workshop: Workshop, command_line: CommandLine, tmp_path: Path
) -> None:
    _, made = await command_line("api-keys", "create", "--role", "manager", "--name", "Maria")
    assert (await Authenticator(workshop.pool, 5).look_up(made["key"].encode())).role is Role.MANAGER
    wanted = [{"name": "local", "role": "client", "key": "client_local.0123456789abcdef", "customer_id": str(uuid4())}]
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(wanted))
    assert await command_line("api-keys", "ensure", "--from-file", str(file)) == (0, {"added": ["client_local"]})
    assert await command_line("api-keys", "ensure", "--from-file", str(file)) == (0, {"added": []})
    file.write_text(json.dumps([{**wanted[0], "key": "client_local.another-secret-altogether"}]))
    code, message = await command_line("api-keys", "ensure", "--from-file", str(file))
    assert (code, message) == (1, "key client_local is there with another secret, role or customer\n")
    assert (await command_line("api-keys", "revoke", "client_local"))[0] == 0
    file.write_text(json.dumps(wanted))
    assert await command_line("api-keys", "ensure", "--from-file", str(file)) == (
        1,
        "key client_local was revoked: take a new one\n",
    )
    prefixes = {each["prefix"] for each in (await command_line("api-keys", "list"))[1]["data"]}
    assert {made["prefix"], "client_local"} <= prefixes


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("nonsense", "Invalid JSON"),
        ('[{"name": "x", "role": "queen", "key": "a.b"}]', "0.role"),
        ('[{"name": "x", "role": "ops", "key": "short.x"}]', "at least 16 characters"),
    ],
)
async def test_a_key_file_that_is_wrong_is_refused_by_name(
    command_line: CommandLine, tmp_path: Path, content: str, complaint: str
) -> None:
    file = tmp_path / "keys.json"
    file.write_text(content)
    code, message = await command_line("api-keys", "ensure", "--from-file", str(file))
    assert code == 1
    assert complaint in message


async def test_a_key_file_that_is_not_there_is_not_the_databases_fault(
    command_line: CommandLine, tmp_path: Path
) -> None:
    missing = tmp_path / "keys.json"
    answer = await command_line("api-keys", "ensure", "--from-file", str(missing))
    assert answer == (1, f"{missing}: No such file or directory\n")


async def test_people_get_aligned_columns(workshop: Workshop, command_line: CommandLine) -> None:
    assert await command_line("jobs", "list", "--format", "text") == (0, "nothing\n")
    job = await a_dead_job(workshop)
    _, table = await command_line("jobs", "list", "--format", "text")
    header, line = table.splitlines()
    assert header.index("business_key") == line.index("vase-1")
    assert header.index("last_error") == line.index("the kiln is cold")
    _, shown = await command_line("jobs", "show", str(job), "--format", "text")
    assert "attempts_made:\n  number  worker" in shown


async def test_a_row_that_was_changed_behind_the_audits_back_is_named(
    database: Database, workshop: Workshop, command_line: CommandLine
) -> None:
    job = await a_dead_job(workshop)
    await command_line("jobs", "replay", str(job))
    await command_line("api-keys", "create", "--role", "ops")
    assert await command_line("verify-audit") == (0, {"rows": 2, "entities": 2, "broken": None})
    await tamper(database, "UPDATE audit SET actor_id = 'nobody' WHERE entity_type = 'JOB'")
    code, output = await command_line("verify-audit", "--format", "json")
    assert code == 1
    assert json.loads(output)["broken"]["entity_id"] == str(job)
    assert json.loads(output)["broken"]["position"] == 1


async def tamper(database: Database, statement: str) -> None:
    """As the owner of the tables could, with the triggers out of the way."""
    owner = await asyncpg.connect(database.owner_dsn)
    await owner.execute(f"ALTER TABLE audit DISABLE TRIGGER USER; {statement}; ALTER TABLE audit ENABLE TRIGGER USER")
    await owner.close()


async def test_a_database_that_is_away_is_said_in_a_word(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:hush@127.0.0.1:9/none")
    code, message = await command_line("jobs", "list")
    assert (code, message) == (1, "The database cannot be reached: ConnectionRefusedError.\n")


@pytest.mark.parametrize(
    "command",
    ["dance", "jobs list --limit -1", "poison list --offset 2147483648", "outbox replay 9223372036854775808"],
)
async def test_a_command_that_is_none_is_explained(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        execute(SERVICE, command.split())
    assert ended.value.code == 2
    assert "usage: python -m workshop" in capsys.readouterr().err
