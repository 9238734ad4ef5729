"""`python -m <service> …` in a separate process, as in production."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from support.processes.tls import TLS
from support.waiting import poll

SECRET = "not for production: thirty-two characters"


class ServiceProcess:
    def __init__(self, service: str, *arguments: str, log: Path, environment: Mapping[str, str]) -> None:
        self._log = log
        wiring = {"HTTP_PORT": "0", "LOG_FORMAT": "json", "LINK_SIGNING_KEY": SECRET, **environment}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", service, *arguments],
                env={"PATH": os.defpath, **_coverage(), **wiring},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def address(self) -> str | None:
        """None until the process listens."""
        addresses = (json.loads(line)["address"] for line in self.log.splitlines() if '"event":"listening"' in line)
        return next(addresses, None)

    def get(self, path: str) -> httpx.Response | None:
        """The response, or None while the process does not listen or respond."""
        try:
            return httpx.get(self.address + path, timeout=5, verify=TLS) if self.address else None
        except httpx.TransportError:
            return None

    def wait_for(self, path: str, status: int, within: float = 30.0) -> httpx.Response:
        """Poll the path until it responds with this status. Raises AssertionError with the log after the deadline."""
        answer: httpx.Response | None = None

        def has_answered() -> bool:
            nonlocal answer
            answer = self.get(path)
            assert self._process.poll() is None, self.log
            return answer is not None and answer.status_code == status

        try:
            poll(has_answered, within=within)
        except AssertionError as error:
            raise AssertionError(f"{answer.text if answer else 'no response'}\n{self.log}") from error
        assert answer is not None
        return answer

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, within: float = 30.0) -> int:
        """The exit code."""
        return self._process.wait(within)

    def stop(self, within: float = 30.0) -> int:
        """Send SIGTERM, and return the exit code."""
        self.send(signal.SIGTERM)
        return self.wait(within)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def _coverage() -> dict[str, str]:
    """The variables with which a child process is included in the coverage of the test run."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


@contextmanager
def running_service(
    service: str, *arguments: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[ServiceProcess]:
    process = ServiceProcess(
        service, *arguments, log=folder / f"{service}-{'-'.join(arguments)}.log", environment=environment
    )
    try:
        yield process
    finally:
        process.kill()
