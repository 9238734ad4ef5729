"""PostgreSQL and Apache Kafka in containers, with the interface of the embedded servers.

The images are those of docker-compose.yml, unless POSTGRES_IMAGE or KAFKA_IMAGE names another.
"""

import os
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import yaml
from local_stack import postgres
from local_stack.kafka import Kafka
from local_stack.postgres import SUPERUSER, Postgres
from local_stack.server import Server
from testcontainers.core.container import DockerContainer

COMPOSE_FILE = Path(__file__).parents[3] / "docker-compose.yml"


class InContainer(Server):
    """A server in a container: its data survives `kill()` and is deleted by `stop()`."""

    _description: DockerContainer | None = None
    _container: Any = None  # of Docker's client, which has no types

    @abstractmethod
    def describe(self) -> DockerContainer:
        """The description of the container, before it is created."""

    def start(self, timeout: float = 120.0) -> Self:
        return super().start(timeout)

    def prepare(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)

    def spawn(self) -> None:
        """Create the container, with a pull of its image if necessary, or start it again."""
        if self._description is None:
            self._description = self.describe()
            self._container = self._description.start().get_wrapped_container()
        else:
            self._container.start()

    def is_running(self) -> bool:
        self._container.reload()
        if self._container.status in ("running", "paused"):
            return True
        self.log.write_bytes(self._container.logs())
        return False

    def kill(self) -> None:
        if self.is_running():
            self._container.kill()
            self._container.wait()

    def stop(self) -> None:
        if self._description is not None:
            self._description.stop()
            self._description = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._container.pause()
        try:
            yield
        finally:
            self._container.unpause()


class PostgresContainer(InContainer, Postgres):
    def describe(self) -> DockerContainer:
        settings = postgres.SETTINGS.keys() - {"listen_addresses", "unix_socket_directories"}  # the image's own
        command = ["postgres", *(f"--{name}={postgres.SETTINGS[name]}" for name in sorted(settings))]
        environment = {"POSTGRES_PASSWORD": self._password(SUPERUSER), "POSTGRES_INITDB_ARGS": "--no-locale"}
        return _container("postgres", environment, 5432, self.port).with_command(command)


class KafkaContainer(InContainer, Kafka):
    def describe(self) -> DockerContainer:
        settings = self._settings() | {
            # The same port inside, so that the advertised address is valid on both sides.
            "listeners": f"CLIENT://:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "log.dirs": "/var/lib/kafka/data",
        }
        environment = {f"KAFKA_{name.upper().replace('.', '_')}": str(value) for name, value in settings.items()}
        return _container("kafka", environment | {"KAFKA_HEAP_OPTS": "-Xms128m -Xmx512m"}, self.port, self.port)


def _container(service: str, environment: dict[str, str], port: int, port_here: int) -> DockerContainer:
    of_compose = yaml.safe_load(COMPOSE_FILE.read_text())["services"][service]["image"]
    container = DockerContainer(os.environ.get(f"{service.upper()}_IMAGE") or of_compose, env=environment)
    # A port of this machine that stays the same when the container is started again.
    container.ports[f"{port}/tcp"] = ("127.0.0.1", port_here)  # type: ignore[assignment] # Docker's client takes this
    return container
