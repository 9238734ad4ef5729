"""Parsers of the operators' command line, whose arguments are passed to a command by their names."""

import argparse
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from common.audit.actor import Actor
from common.database.statements import Connection
from common.paging import Page, Paging, list_document
from common.service import Runtime

Arguments: TypeAlias = argparse.Namespace
Command: TypeAlias = Callable[[Connection, Arguments, Actor, Runtime[Any]], Awaitable[dict[str, Any]]]
Subcommands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def group(subcommands: Subcommands, name: str, meaning: str) -> Subcommands:
    return subcommands.add_parser(name, help=meaning).add_subparsers(dest="action", required=True, metavar="ACTION")


def command_of(
    parent: Subcommands, name: str, meaning: str, function: Callable[..., Awaitable[Any]]
) -> argparse.ArgumentParser:
    parser = parent.add_parser(name, help=meaning)
    parser.add_argument("--format", choices=["text", "json"], help="text on a terminal, else JSON")
    parser.set_defaults(command=_by_names(function), fails=lambda _: False)
    return parser


def listing_of(
    parent: Subcommands, meaning: str, query: Callable[..., Awaitable[Page[Any]]]
) -> argparse.ArgumentParser:
    return with_paging(command_of(parent, "list", meaning, query))


def with_paging(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--limit", type=number_from_to(1, 2**31 - 1), default=20)
    parser.add_argument("--offset", type=number_from_to(0, 2**31 - 1), default=0)
    return parser


def _by_names(function: Callable[..., Awaitable[Any]]) -> Command:
    """Calls `function` with the connection, and with the argument of the command line that has the parameter's name."""
    _, *names = inspect.signature(function).parameters

    async def command(
        connection: Connection, arguments: Arguments, actor: Actor, runtime: Runtime[Any]
    ) -> dict[str, Any]:
        values = {**vars(arguments), "actor": actor, "runtime": runtime}
        if "paging" in names:
            values["paging"] = Paging(arguments.limit, arguments.offset)
        result: dict[str, Any] | Page[Any] = await function(connection, *(values[name] for name in names))
        return list_document(result, values["paging"], dict) if isinstance(result, Page) else result

    return command


def number_from_to(least: int, most: int) -> Callable[[str], int]:
    """A parser of numbers in a range that the database can store."""

    def number(text: str) -> int:
        if not least <= (value := int(text)) <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}")
        return value

    return number
