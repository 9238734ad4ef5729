"""`python -m demo.compose`: the demo's stories through a running Compose stack; exit status 1 when anything is missing.

The environment variable COMPOSE is the command, "docker compose" if it is not set.
"""

import asyncio
import json
import os
import shlex
import subprocess
import sys
import time

import httpx
from local_stack.services import SERVICES
from local_stack.stack_json import StackDescription
from rich.console import Console

from demo.__main__ import tell
from demo.client import Shop, Unexpected
from demo.narrator import Narrator

READY_SECONDS = 120
# Seconds. Asking again after so long stays below the limit of 100 requests a minute that the stack has by default.
PAUSE = 0.5


def main() -> None:
    console = Console(highlight=False)
    began = time.monotonic()
    try:
        stack = describe()
        wait_until_ready(stack)
        asyncio.run(tell(Shop(stack, patience=READY_SECONDS, pause=PAUSE), Narrator(console)))
        check_gateway(stack)
    except Unexpected as failure:
        sys.exit(f"The smoke test failed: {failure}")
    console.print(f"[green]Everything is as it should be[/], in {time.monotonic() - began:.0f} s.")


def describe() -> StackDescription:
    """Where the stack's parts are, seen from this machine. Raises `Unexpected` when there is no stack."""
    keys = json.loads(_compose("run", "--rm", "-T", "keys"))
    mailbox, sandbox = _published("mailpit", 8025), _published("payment-sandbox", 8000)
    return {
        "gateway": {"url": f"http://{_published('gateway', 8000)}"},
        "console": {"url": f"http://{_published('console', 8000)}"},
        "services": {service: {"url": f"http://{_published(f'{service}-api', 8000)}"} for service in SERVICES},
        "api_keys": {each["role"]: each["key"] for each in keys},
        "databases": {},
        "kafka": {"bootstrap": _published("kafka", 9094)},
        "payment_sandbox": {"url": f"http://{sandbox}"},
        "mailbox": {"url": f"http://{mailbox}", "smtp": ""},
        "documents": "the volume invoice-documents",
        "processes": [],
    }


def wait_until_ready(stack: StackDescription) -> None:
    """Raises `Unexpected`."""
    deadline = time.monotonic() + READY_SECONDS
    for service, address in {**stack["services"], "gateway": stack["gateway"], "console": stack["console"]}.items():
        while not _is_ready(address["url"]):
            if time.monotonic() > deadline:
                raise Unexpected(f"{service} is not ready after {READY_SECONDS} s")
            time.sleep(0.2)


def check_gateway(stack: StackDescription) -> None:
    """One address for both gateways: orders, returns, and the figures of both. Raises `Unexpected`."""
    key = {"X-API-Key": stack["api_keys"]["ops"]}
    url = f"{stack['gateway']['url']}/api/v1"
    answers = {path: httpx.get(f"{url}/{path}", headers=key) for path in ("orders", "returns", "metrics", "health")}
    failed = [f"{path}: {answer.status_code} {answer.text}" for path, answer in answers.items() if answer.is_error]
    if failed:
        raise Unexpected(f"the gateway answers {'; '.join(failed)}")
    if not {"orders", "returns", "performance"} <= answers["metrics"].json().keys():
        raise Unexpected(f"the metrics of the gateway are {answers['metrics'].text}")


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _published(service: str, port: int) -> str:
    return _compose("port", service, str(port)).strip()


def _compose(*arguments: str) -> str:
    command = [*shlex.split(os.environ.get("COMPOSE") or "docker compose"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Unexpected(f"{shlex.join(command)}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    main()
