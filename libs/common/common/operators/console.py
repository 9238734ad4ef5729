"""Operators' commands on the command line: each calls a function of `queries` or `commands`."""

import argparse
import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from common.access.api_keys import KeyOptions
from common.access.auth import Role
from common.audit.actor import Actor
from common.database.statements import Connection
from common.operators import commands, job_queries, poison_commands, queries, status
from common.operators.audit_verification import verify_audit
from common.operators.job_parsers import add_jobs, add_kinds
from common.operators.parsers import Subcommands, command_of, group, listing_of, number_from_to, with_paging
from common.paging import Paging
from common.service import OperatorCommand, Runtime

_LONGEST_VALIDITY = 36_500


def add_operator_commands(subcommands: Subcommands, own: Iterable[OperatorCommand] = ()) -> None:
    """A parsed command line has `command`, which runs in a transaction, `format` and `fails`. `own` are those of the
    service."""
    command_of(subcommands, "status", "what waits and what failed in this service", status.service_status)
    command_of(subcommands, "failures", "failed jobs by kind and cause", job_queries.list_failures)
    add_jobs(group(subcommands, "jobs", "background work, its attempts and their errors"))
    add_kinds(group(subcommands, "kinds", "kinds of jobs, and whether they are paused"))
    _add_poison(group(subcommands, "poison", "records that could not be processed"))
    _add_outbox(group(subcommands, "outbox", "pending events, and those that Kafka rejected permanently"))
    _add_keys(group(subcommands, "api-keys", "keys for the HTTP API"))
    _add_discrepancies(subcommands)
    verify_parser = command_of(
        subcommands, "verify-audit", "check every audit chain; exit code 1 when one is broken", verify_audit
    )
    verify_parser.set_defaults(fails=lambda result: result["broken"] is not None)
    for each in own:
        parser = command_of(subcommands, each.name, each.meaning, each.function)
        parser.set_defaults(fails=each.fails)
        for name, meaning in each.arguments.items():
            parser.add_argument(name, help=meaning)


def _add_poison(poison: Subcommands) -> None:
    listing_of(poison, "newest first", queries.list_poison).add_argument(
        "--state", choices=["kept", "replayed", "discarded"]
    )
    show_parser = command_of(poison, "show", "one record, its bytes in base64", queries.find_poison)
    show_parser.add_argument("poison_id", metavar="id", type=UUID)
    meaning = "process a poison record again; or up to 100 of a topic, error or cause, the oldest first"
    replay_parser = command_of(poison, "replay", meaning, poison_commands.replay_from_command_line)
    replay_parser.add_argument("poison_id", metavar="id", type=UUID, nargs="?")
    replay_parser.add_argument("--topic")
    replay_parser.add_argument("--error", help="as `poison list` shows it")
    replay_parser.add_argument("--cause", help="the error without what differs, as `poison list` shows it")
    replay_parser.add_argument("--dry-run", action="store_true", help="only show which records it would be")
    discard_parser = command_of(poison, "discard", "never process a poison record", commands.discard_poison)
    discard_parser.add_argument("poison_id", metavar="id", type=UUID)
    discard_parser.add_argument("--reason", required=True)


def _add_outbox(outbox: Subcommands) -> None:
    list_parser = listing_of(outbox, "newest first", queries.list_outbox)
    list_parser.add_argument("--state", choices=["pending", "parked"], default="parked")
    show_parser = command_of(outbox, "show", "one event with its data", queries.show_event)
    show_parser.add_argument("position", type=number_from_to(1, 2**63 - 1))
    replay_parser = command_of(outbox, "replay", "publish a parked event again", commands.replay_event)
    replay_parser.add_argument("position", type=number_from_to(1, 2**63 - 1))
    send_again_parser = command_of(
        outbox,
        "send-again",
        "after Kafka lost events: send all events since a time again, such as 2026-03-01T09:00:00Z",
        commands.send_events_again,
    )
    send_again_parser.add_argument("--since", type=_instant, required=True)


def _add_discrepancies(subcommands: Subcommands) -> None:
    parser = with_paging(
        command_of(subcommands, "discrepancies", "what the reconciler found, newest first", queries.list_discrepancies)
    )
    parser.add_argument("--state", choices=["open", "acknowledged", "resolved"])
    parser.add_argument("--check")
    meaning = "stop reporting a discrepancy until it changes"
    acknowledge_parser = command_of(subcommands, "acknowledge", meaning, commands.acknowledge_discrepancy)
    acknowledge_parser.add_argument("discrepancy_id", metavar="id", type=UUID)
    acknowledge_parser.add_argument("--reason", required=True)
    acknowledge_parser.add_argument(
        "--details", type=_details, metavar="JSON", help="its details as you read them: refused if they have changed"
    )
    reconcile_parser = command_of(subcommands, "reconcile", "run all checks of the reconciler now", _reconcile)
    reconcile_parser.add_argument("--once", action="store_true", required=True, help="one round, as there is no other")


def _details(text: str) -> Any:
    details = json.loads(text, parse_float=Decimal)
    if not isinstance(details, dict):
        raise ValueError(text)
    return details


def _add_keys(keys: Subcommands) -> None:
    command_of(keys, "list", "all keys, without their secrets", _list_keys)
    create_parser = command_of(keys, "create", "create a key; its secret is shown only this time", _create_key)
    create_parser.add_argument("--role", type=Role, choices=list(Role), required=True)
    create_parser.add_argument("--name")
    create_parser.add_argument("--customer-id", type=UUID, help="the only customer whose objects this client may see")
    expiry = create_parser.add_mutually_exclusive_group()
    expiry.add_argument("--expires-at", type=_instant, help="reject the key from this time on: 2027-01-31T00:00:00Z")
    expiry.add_argument(
        "--expires-in", dest="expires_at", type=_from_now, help="the same as a number of days or hours: 90d or 12h"
    )
    create_parser.add_argument(
        "--rate-limit",
        type=number_from_to(0, commands.LARGEST_RATE_LIMIT),
        help="requests in any 60 seconds in place of RATE_LIMIT_PER_MINUTE; 0: no limit",
    )
    create_parser.add_argument(
        "--subject", help="the person who uses the key: the `sub` claim of that person's bearer tokens"
    )
    command_of(keys, "revoke", "reject a key from now on", commands.revoke_key).add_argument("prefix")
    ensure_parser = command_of(
        keys, "ensure", "store the keys of a file, except those that exist already", _ensure_keys
    )
    ensure_parser.add_argument(
        "--from-file",
        type=Path,
        required=True,
        help='[{"name", "role", "key", "customer_id"?, "expires_at"?, "rate_limit"?, "subject"?}]',
    )


async def _create_key(
    connection: Connection,
    actor: Actor,
    name: str | None,
    role: Role,
    customer_id: UUID | None,
    expires_at: datetime | None,
    rate_limit: int | None,
    subject: str | None,
) -> dict[str, Any]:
    options = KeyOptions(customer_id, expires_at, rate_limit, subject)
    return await commands.create_key(connection, actor, name, role, options)


async def _list_keys(connection: Connection) -> dict[str, Any]:
    page = await queries.list_keys(connection, Paging(2**31 - 1))
    pagination = {"limit": None, "offset": 0, "total": page.total, "has_more": False, "next_cursor": None}
    return {"data": page.rows, "pagination": pagination}


async def _ensure_keys(connection: Connection, actor: Actor, from_file: Path) -> dict[str, Any]:
    try:
        keys = TypeAdapter(list[commands.ImportedKey]).validate_json(await asyncio.to_thread(from_file.read_bytes))
    except OSError as error:
        raise ValueError(f"{from_file}: {error.strerror}") from None
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False))
        raise ValueError(f"{from_file}: {'; '.join(problems)}") from None
    return await commands.ensure_keys(connection, actor, keys)


async def _reconcile(connection: Connection, runtime: Runtime[Any]) -> dict[str, Any]:
    from common.operators.reconciliation import reconcile_once  # its modules are not needed by the other commands

    return await reconcile_once(connection, runtime)


def _instant(text: str) -> datetime:
    """With its offset from UTC."""
    if (moment := datetime.fromisoformat(text)).tzinfo is None:
        raise argparse.ArgumentTypeError("must say its time zone, such as Z")
    return moment


def _from_now(text: str) -> datetime:
    """`90d` or `12h` from now."""
    unit = {"d": "days", "h": "hours"}.get(text[-1:])
    if (
        unit is None
        or not (text[:-1].isascii() and text[:-1].isdecimal())
        or not 0 < int(text[:-1]) <= _LONGEST_VALIDITY
    ):
        raise argparse.ArgumentTypeError(
            f"must be a number of days or hours, such as 90d or 12h, up to {_LONGEST_VALIDITY}"
        )
    return datetime.now(UTC) + timedelta(**{unit: int(text[:-1])})
