"""The servers that tests run on: embedded ones or, with STACK=docker, containers."""

import os
from pathlib import Path

from local_stack.kafka import Kafka
from local_stack.postgres import Postgres

IN_CONTAINERS = os.environ.get("STACK") == "docker"

if IN_CONTAINERS:
    from support.processes.containers import KafkaContainer, PostgresContainer


def new_postgres(folder: Path) -> Postgres:
    return PostgresContainer(folder) if IN_CONTAINERS else Postgres(folder)


def new_kafka(folder: Path) -> Kafka:
    return KafkaContainer(folder) if IN_CONTAINERS else Kafka(folder)
