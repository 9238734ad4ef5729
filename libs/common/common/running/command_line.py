"""The command line `python -m <service> …`: runs a role, migrates, and executes operators' commands."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from pydantic import ValidationError

from common.access.actors import command_line_id, command_line_name
from common.audit.actor import Actor
from common.database.transactions import is_connection_failure, open_pool, transaction
from common.errors import Problem
from common.health import Health
from common.operators.console import add_operator_commands
from common.operators.output import print_result
from common.service import ALL, Runtime, Service
from common.settings import ServiceSettings
from common.telemetry.logs import configure_logging
from common.telemetry.trace_context import new_traceparent
from common.text.visible import for_terminal


def main(service: Service[Any], arguments: Sequence[str] | None = None) -> NoReturn:
    """Exit with the code of `execute`, or with 2 for an invalid command line."""
    sys.exit(execute(service, arguments))


def execute(service: Service[Any], arguments: Sequence[str] | None = None) -> int:
    """Return the exit code, 1 for a failure. Results are printed on stdout, errors on stderr."""
    options = _parser(service).parse_args(arguments)
    try:
        settings = service.settings()
    except ValidationError as error:
        return _fail("\n".join(_describe(each) for each in error.errors()))
    if options.subcommand in (*service.roles, ALL):
        from common.running.process import run

        return run(service, settings, options.subcommand)
    configure_logging(service.name, options.subcommand, style=settings.log_format, level=settings.log_level)
    try:
        if options.subcommand == "migrate":
            from common.running.migrate import migrate

            asyncio.run(migrate(service, settings))
            return 0
        return asyncio.run(_operate(service, settings, options))
    except Problem as problem:
        return _fail(problem.message)
    except (ValueError, OSError) as error:
        return _fail(str(error))


async def _operate(service: Service[Any], settings: ServiceSettings, options: argparse.Namespace) -> int:
    user = getpass.getuser()
    actor = Actor(command_line_id(user), command_line_name(user), "USER", "API_CALL", new_traceparent())
    try:
        async with await open_pool(settings.database_url, size=2, application_name=f"{service.name} operator") as pool:
            runtime = Runtime(service, settings, pool, Health(service.name, settings))
            async with transaction(pool) as connection:
                result = await options.command(connection, options, actor, runtime)
    except Exception as error:
        if is_connection_failure(error):
            return _fail(f"The database cannot be reached: {type(error).__name__}.")
        raise
    print_result(result, options.format)
    return 1 if options.fails(result) else 0


def _parser(service: Service[Any]) -> argparse.ArgumentParser:
    program = f"python -m {service.name}"
    parser = argparse.ArgumentParser(prog=program, description="Settings come from the environment.")
    subcommands = parser.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
    for role in service.roles:
        subcommands.add_parser(role, help=f"run the role {role}")
    subcommands.add_parser(ALL, help="run all roles in one process")
    subcommands.add_parser("migrate", help="bring the database and the topics up to date")
    add_operator_commands(subcommands, service.operator_commands())
    return parser


def _describe(problem: Mapping[str, Any]) -> str:
    """`HTTP_PORT: Input should be …`: the variable's name and the problem, without the value, which may be a secret."""
    names = " ".join(str(each).upper() for each in problem["loc"][:1]) or "SETTINGS"
    return f"{names}: {problem['msg'].removeprefix('Value error, ')}"


def _fail(message: str) -> int:
    sys.stderr.write(f"{for_terminal(message, keep_lines=True)}\n")
    return 1
