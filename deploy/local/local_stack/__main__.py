"""Command line: `python -m local_stack fetch`, once, then `up`."""

import argparse
import asyncio
import os
import shlex
import sys

from rich.console import Console

from local_stack import stack_json
from local_stack.jars import UntrustedJarError
from local_stack.lock import InUseError, exclusive_use
from local_stack.logs import keep_last_logs
from local_stack.ports import PortTakenError
from local_stack.process import CommandError
from local_stack.server import StartError
from local_stack.settings import SettingsError, StackSettings
from local_stack.stack import Stack
from local_stack.supervisor import Supervisor
from local_stack.terminal import Terminal

EXPECTED = (
    StartError,
    CommandError,
    UntrustedJarError,
    InUseError,
    PortTakenError,
    SettingsError,
    stack_json.NotRunningError,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="run the whole system until Ctrl-C; see STACK_DIR, ROLES and PORT_… in the README")
    commands.add_parser("fetch", help="set-up: fetch and check Kafka's jars, prepare its fast start")
    commands.add_parser("env", help="addresses and keys of the running stack as shell variables, for eval")
    commands.add_parser("lock", help="pin Kafka's jars anew")
    command = {"up": up, "fetch": fetch, "env": env, "lock": lock}[parser.parse_args().command]
    try:
        command()
    except* EXPECTED as failures:
        sys.exit("\n".join(str(failure) for failure in leaves(failures)))


def up() -> None:
    settings = StackSettings.from_environment(os.environ)
    terminal = Terminal(Console())
    with exclusive_use(settings.folder):
        stack_json.withdraw(settings.folder)
        keep_last_logs(settings.folder / "logs")
        asyncio.run(Supervisor(Stack(settings), terminal).run())


def fetch() -> None:
    from local_stack.fetch import fetch_jars, train_class_cache

    terminal = Terminal(Console())
    with terminal.starting():
        with terminal.step("Kafka's jars, checked"):
            fetch_jars()
        with terminal.step("Kafka's classes, cached"):
            train_class_cache()


def env() -> None:
    """`ORDERS=http://…`, `CLIENT_KEY=…`: what a person needs to call the services with curl."""
    stack = stack_json.running_stack(StackSettings.from_environment(os.environ).folder)
    variables = {name.upper(): service["url"] for name, service in stack["services"].items()}
    variables |= {f"{role.upper()}_KEY": key for role, key in stack["api_keys"].items()}
    variables |= {"MAILBOX": stack["mailbox"]["url"], "PAYMENT_SANDBOX": stack["payment_sandbox"]["url"]}
    for name, value in variables.items():
        print(f"{name}={shlex.quote(value)}")


def lock() -> None:
    from local_stack.fetch import write_lock

    write_lock()


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    nested = (leaves(each) if isinstance(each, BaseExceptionGroup) else [each] for each in group.exceptions)
    return [each for inner in nested for each in inner]


if __name__ == "__main__":
    main()
