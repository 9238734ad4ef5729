"""The commands for operators on the command line; each is a function of `operator_queries` or `operator_commands`."""

import argparse
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from common.access.auth import Role
from common.audit.trail import Actor
from common.database.statements import Connection
from common.operators import commands as operator_commands
from common.operators import queries as operator_queries
from common.operators.audit_verification import verify
from common.operators.commands import WantedKey
from common.service import Runtime

Given: TypeAlias = argparse.Namespace
Command: TypeAlias = Callable[[Connection, Given, Actor, Runtime[Any]], Awaitable[Any]]
Topics: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_operator_commands(topics: Topics) -> None:
    """Each parsed command line has `command`, to be run in a transaction, and `format`."""
    _add_jobs(_topic(topics, "jobs", "background work, its attempts and their errors"))
    _add_poison(_topic(topics, "poison", "records that could not be handled"))
    _add_outbox(_topic(topics, "outbox", "events that the broker refused for good"))
    _add_keys(_topic(topics, "api-keys", "who may call"))
    _command(topics, "verify-audit", "check every audit chain; exit code 1 when one is broken", _verify_audit)


def _add_jobs(jobs: Topics) -> None:
    listed = _command(
        jobs,
        "list",
        "newest first",
        lambda connection, given, *_: operator_queries.list_jobs(
            connection, state=given.state, kind=given.kind, limit=given.limit, offset=given.offset
        ),
    )
    listed.add_argument("--state", choices=["ready", "running", "done", "dead"])
    listed.add_argument("--kind")
    _add_paging(listed)
    shown = _command(
        jobs,
        "show",
        "one job with every attempt",
        lambda connection, given, *_: operator_queries.find_job(connection, given.id),
    )
    replayed = _command(
        jobs,
        "replay",
        "give a dead job a new round of tries",
        lambda connection, given, actor, _: operator_commands.replay_job(connection, actor, given.id),
    )
    for each in (shown, replayed):
        each.add_argument("id", type=UUID)


def _add_poison(poison: Topics) -> None:
    listed = _command(
        poison,
        "list",
        "newest first",
        lambda connection, given, *_: operator_queries.list_poison(
            connection, state=given.state, limit=given.limit, offset=given.offset
        ),
    )
    listed.add_argument("--state", choices=["kept", "replayed"])
    _add_paging(listed)
    shown = _command(
        poison,
        "show",
        "one record, its bytes in base64",
        lambda connection, given, *_: operator_queries.find_poison(connection, given.id),
    )
    replayed = _command(poison, "replay", "put a record through the handlers again", _replay_poison)
    for each in (shown, replayed):
        each.add_argument("id", type=UUID)


def _add_outbox(outbox: Topics) -> None:
    listed = _command(
        outbox,
        "list",
        "the latest first",
        lambda connection, given, *_: operator_queries.list_outbox(
            connection, state=given.state, limit=given.limit, offset=given.offset
        ),
    )
    listed.add_argument("--state", choices=["pending", "parked"], default="parked")
    _add_paging(listed)
    replayed = _command(
        outbox,
        "replay",
        "let the relay try a parked event again",
        lambda connection, given, actor, _: operator_commands.replay_event(connection, actor, given.position),
    )
    replayed.add_argument("position", type=_number(1, 2**63 - 1))
    sent_again = _command(
        outbox,
        "send-again",
        "for a Kafka that lost events: send those written since a moment, such as 2026-03-01T09:00:00Z, once more",
        lambda connection, given, actor, _: operator_commands.send_events_again(connection, actor, given.since),
    )
    sent_again.add_argument("--since", type=_instant, required=True)


def _add_keys(keys: Topics) -> None:
    _command(keys, "list", "without their secrets", lambda connection, *_: operator_commands.list_keys(connection))
    created = _command(
        keys,
        "create",
        "make a key and show it, for the only time",
        lambda connection, given, actor, _: operator_commands.create_key(
            connection, actor, name=given.name or given.role, role=given.role, customer_id=given.customer_id
        ),
    )
    created.add_argument("--role", type=Role, choices=list(Role), required=True)
    created.add_argument("--name")
    created.add_argument("--customer-id", type=UUID, help="the only customer whose orders this client may see")
    revoked = _command(
        keys,
        "revoke",
        "refuse a key from now on",
        lambda connection, given, actor, _: operator_commands.revoke_key(connection, actor, given.prefix),
    )
    revoked.add_argument("prefix")
    ensured = _command(keys, "ensure", "store keys that were made elsewhere, unless they are there", _ensure_keys)
    ensured.add_argument("--from-file", type=Path, required=True, help='[{"name", "role", "key", "customer_id"?}]')


async def _replay_poison(connection: Connection, given: Given, actor: Actor, runtime: Runtime[Any]) -> Any:
    service = runtime.service
    return await operator_commands.replay_poison(
        connection, actor, service.name, service.event_handlers(runtime), given.id
    )


async def _ensure_keys(connection: Connection, given: Given, actor: Actor, _: Runtime[Any]) -> Any:
    try:
        wanted = TypeAdapter(list[WantedKey]).validate_json(given.from_file.read_bytes())
    except OSError as error:
        raise ValueError(f"{given.from_file}: {error.strerror}") from None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
        raise ValueError(f"{given.from_file}: {'; '.join(problems)}") from None
    return await operator_commands.ensure_keys(connection, actor, wanted)


async def _verify_audit(connection: Connection, *_: object) -> dict[str, Any]:
    verdict = await verify(connection)
    names = ("entity_type", "entity_id", "position", "id")
    broken = None if verdict.broken is None else {name: verdict.broken[name] for name in names}
    return {"rows": verdict.rows, "entities": verdict.entities, "broken": broken}


def _topic(topics: Topics, name: str, meaning: str) -> Topics:
    return topics.add_parser(name, help=meaning).add_subparsers(dest="action", required=True, metavar="ACTION")


def _command(topic: Topics, name: str, meaning: str, command: Command) -> argparse.ArgumentParser:
    parser = topic.add_parser(name, help=meaning)
    parser.add_argument("--format", choices=["text", "json"], help="text on a terminal, else JSON")
    parser.set_defaults(command=command)
    return parser


def _add_paging(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=_number(1, 2**31 - 1), default=20)
    parser.add_argument("--offset", type=_number(0, 2**31 - 1), default=0)


def _instant(text: str) -> datetime:
    """With its offset from UTC."""
    if (moment := datetime.fromisoformat(text)).tzinfo is None:
        raise argparse.ArgumentTypeError("must say its time zone, such as Z")
    return moment


def _number(least: int, most: int) -> Callable[[str], int]:
    """What the database can hold."""

    def number(text: str) -> int:
        if not least <= (value := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}")
        return value

    return number
