"""A Python program of this repository as a server: a role of a service, or a part of the sandbox."""

import http.client
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from local_stack import process
from local_stack.server import Server


class Program(Server):
    """`python -m …` with an HTTP port; it is ready when GET of its readiness path answers 200."""

    def __init__(
        self, name: str, arguments: list[str], *, port: int, readiness: str, environment: Mapping[str, str], log: Path
    ) -> None:
        super().__init__()
        self.name = name
        self.port = port
        self.log = log
        self._command = python_module(*arguments)
        self._readiness = readiness
        self._environment = environment

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)

    def launch(self) -> subprocess.Popen[bytes]:
        return process.spawn(self._command, log=self.log, environment=self._environment, folder=Path.cwd())

    def is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", self._readiness)
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def python_module(*arguments: str) -> list[str]:
    """The command `python -m …` with this interpreter, without the current directory on the import path."""
    return [sys.executable, "-P", "-m", *arguments]
