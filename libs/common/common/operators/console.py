"""Operators' commands on the command line: each calls a function of `queries` or `commands`."""

import argparse
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from common.access.auth import Role
from common.audit.actor import Actor
from common.database.statements import Connection
from common.operators import commands, queries
from common.operators.audit_verification import verify
from common.paging import Page, Paging, list_document
from common.service import Runtime

Arguments: TypeAlias = argparse.Namespace
Result: TypeAlias = dict[str, Any]
Command: TypeAlias = Callable[[Connection, Arguments, Actor, Runtime[Any]], Awaitable[Result]]
Topics: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_operator_commands(topics: Topics) -> None:
    """A parsed command line has `command`, which runs in a transaction, and `format`."""
    _add_jobs(_topic(topics, "jobs", "background work, its attempts and their errors"))
    _add_poison(_topic(topics, "poison", "records that could not be handled"))
    _add_outbox(_topic(topics, "outbox", "events that the broker refused for good"))
    _add_keys(_topic(topics, "api-keys", "who may call"))
    _command(topics, "verify-audit", "check every audit chain; exit code 1 when one is broken", _verify_audit)


def _add_jobs(jobs: Topics) -> None:
    listing = _command(jobs, "list", "newest first", _list_jobs)
    listing.add_argument("--state", choices=["ready", "running", "done", "dead"])
    listing.add_argument("--kind")
    _add_paging(listing)
    _add_id(_command(jobs, "show", "one job with every attempt", _show_job))
    _add_id(_command(jobs, "replay", "give a dead job a new round of tries", _replay_job))


async def _list_jobs(connection: Connection, arguments: Arguments, *_: object) -> Result:
    filters = queries.JobFilter(arguments.state, arguments.kind)
    return _list(await queries.list_jobs(connection, filters, _paging(arguments)), _paging(arguments))


async def _show_job(connection: Connection, arguments: Arguments, *_: object) -> Result:
    return await queries.find_job(connection, arguments.id)


async def _replay_job(connection: Connection, arguments: Arguments, actor: Actor, *_: object) -> Result:
    return await commands.replay_job(connection, actor, arguments.id)


def _add_poison(poison: Topics) -> None:
    listing = _command(poison, "list", "newest first", _list_poison)
    listing.add_argument("--state", choices=["kept", "replayed"])
    _add_paging(listing)
    _add_id(_command(poison, "show", "one record, its bytes in base64", _show_poison))
    _add_id(_command(poison, "replay", "put a record through the handlers again", _replay_poison))


async def _list_poison(connection: Connection, arguments: Arguments, *_: object) -> Result:
    return _list(await queries.list_poison(connection, arguments.state, _paging(arguments)), _paging(arguments))


async def _show_poison(connection: Connection, arguments: Arguments, *_: object) -> Result:
    return await queries.find_poison(connection, arguments.id)


async def _replay_poison(connection: Connection, arguments: Arguments, actor: Actor, runtime: Runtime[Any]) -> Result:
    service = runtime.service
    return await commands.replay_poison(
        connection, actor, service.name, service.event_handlers(runtime.settings), arguments.id
    )


def _add_outbox(outbox: Topics) -> None:
    listing = _command(outbox, "list", "the latest first", _list_outbox)
    listing.add_argument("--state", choices=["pending", "parked"], default="parked")
    _add_paging(listing)
    replaying = _command(outbox, "replay", "let the relay try a parked event again", _replay_event)
    replaying.add_argument("position", type=_number(1, 2**63 - 1))
    sending_again = _command(
        outbox,
        "send-again",
        "for a Kafka that lost events: send those written since a moment, such as 2026-03-01T09:00:00Z, once more",
        _send_again,
    )
    sending_again.add_argument("--since", type=_instant, required=True)


async def _list_outbox(connection: Connection, arguments: Arguments, *_: object) -> Result:
    return _list(await queries.list_outbox(connection, arguments.state, _paging(arguments)), _paging(arguments))


async def _replay_event(connection: Connection, arguments: Arguments, actor: Actor, *_: object) -> Result:
    return await commands.replay_event(connection, actor, arguments.position)


async def _send_again(connection: Connection, arguments: Arguments, actor: Actor, *_: object) -> Result:
    return await commands.send_events_again(connection, actor, arguments.since)


def _add_keys(keys: Topics) -> None:
    _command(keys, "list", "without their secrets", _list_keys)
    creating = _command(keys, "create", "make a key and show it, for the only time", _create_key)
    creating.add_argument("--role", type=Role, choices=list(Role), required=True)
    creating.add_argument("--name")
    creating.add_argument("--customer-id", type=UUID, help="the only customer whose objects this client may see")
    _command(keys, "revoke", "refuse a key from now on", _revoke_key).add_argument("prefix")
    ensuring = _command(keys, "ensure", "store keys that were made elsewhere, unless they are there", _ensure_keys)
    ensuring.add_argument("--from-file", type=Path, required=True, help='[{"name", "role", "key", "customer_id"?}]')


async def _list_keys(connection: Connection, *_: object) -> Result:
    page = await queries.list_keys(connection)
    pagination = {"limit": None, "offset": 0, "total": page.total, "has_more": False}
    return {"data": page.rows, "pagination": pagination}


async def _create_key(connection: Connection, arguments: Arguments, actor: Actor, *_: object) -> Result:
    new = commands.NewKey(arguments.name or arguments.role, arguments.role, arguments.customer_id)
    return await commands.create_key(connection, actor, new)


async def _revoke_key(connection: Connection, arguments: Arguments, actor: Actor, *_: object) -> Result:
    return await commands.revoke_key(connection, actor, arguments.prefix)


async def _ensure_keys(connection: Connection, arguments: Arguments, actor: Actor, *_: object) -> Result:
    try:
        keys = TypeAdapter(list[commands.ImportedKey]).validate_json(arguments.from_file.read_bytes())
    except OSError as error:
        raise ValueError(f"{arguments.from_file}: {error.strerror}") from None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
        raise ValueError(f"{arguments.from_file}: {'; '.join(problems)}") from None
    return await commands.ensure_keys(connection, actor, keys)


async def _verify_audit(connection: Connection, *_: object) -> Result:
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


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", type=UUID)


def _paging(arguments: Arguments) -> Paging:
    return Paging(arguments.limit, arguments.offset)


def _list(page: Page[dict[str, Any]], paging: Paging) -> Result:
    return list_document(page, paging, dict)


def _instant(text: str) -> datetime:
    """With its offset from UTC."""
    if (moment := datetime.fromisoformat(text)).tzinfo is None:
        raise argparse.ArgumentTypeError("must say its time zone, such as Z")
    return moment


def _number(least: int, most: int) -> Callable[[str], int]:
    """A parser of numbers in a range that the database can store."""

    def number(text: str) -> int:
        if not least <= (value := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}")
        return value

    return number
