"""Command line of the embedded stack: `python -m local_stack up`, and `fetch` once before it."""

import argparse
import asyncio
import os
import shlex
import sys

from rich.console import Console

from local_stack import stack_json
from local_stack.folder_lock import InUseError, exclusive_use
from local_stack.jars import UntrustedJarError
from local_stack.logs import keep_previous_logs
from local_stack.ports import PortTakenError
from local_stack.process import CommandError
from local_stack.server import StartError
from local_stack.settings import SettingsError, StackSettings
from local_stack.stack import Stack
from local_stack.supervisor import Supervisor
from local_stack.terminal import Terminal

# Errors whose message is enough for the user, without a traceback.
REPORTED = (
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
    commands.add_parser(
        "fetch", help="download and verify Kafka's jars, and create its class cache; `make setup` runs it"
    )
    commands.add_parser("env", help="print addresses and keys of the running stack as shell variables, for eval")
    commands.add_parser("lock", help="resolve Kafka's jars again and write their lock file")
    command = {"up": up, "fetch": fetch, "env": env, "lock": lock}[parser.parse_args().command]
    try:
        command()
    except* REPORTED as errors:
        sys.exit("\n".join(str(error) for error in leaves(errors)))


def up() -> None:
    settings = StackSettings.from_environment(os.environ)
    terminal = Terminal(Console())
    with exclusive_use(settings.folder):
        stack_json.remove(settings.folder)
        keep_previous_logs(settings.folder / "logs")
        asyncio.run(Supervisor(Stack(settings), terminal).run())


def fetch() -> None:
    from local_stack.fetch import create_class_cache, fetch_jars

    terminal = Terminal(Console())
    with terminal.starting():
        with terminal.step("Kafka's jars verified"):
            fetch_jars()
        with terminal.step("Kafka's class cache"):
            create_class_cache()


def env() -> None:
    """Print `ORDERS=http://…`, `CLIENT_KEY=…` and so on, for calls with curl."""
    stack = stack_json.running_stack(StackSettings.from_environment(os.environ).folder)
    variables = {"GATEWAY": stack["gateway"]["url"], "CONSOLE": stack["console"]["url"]}
    variables |= {name.upper(): service["url"] for name, service in stack["services"].items()}
    variables |= {f"{role.upper()}_KEY": key for role, key in stack["api_keys"].items()}
    variables |= {"MAILBOX": stack["mailbox"]["url"], "PAYMENT_SANDBOX": stack["payment_sandbox"]["url"]}
    for name, value in variables.items():
        print(f"{name}={shlex.quote(value)}")


def lock() -> None:
    from local_stack.fetch import write_lock

    write_lock()


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions of a group and of the groups inside it."""
    nested = (leaves(error) if isinstance(error, BaseExceptionGroup) else [error] for error in group.exceptions)
    return [error for errors in nested for error in errors]


if __name__ == "__main__":
    main()
