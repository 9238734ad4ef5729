"""Rules of the Compose file; tests/compose/run.sh tests the running stack."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from console.settings import parse_roles
from local_stack.services import SERVICES

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yml").read_text()
CONTAINERS: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]
ONE_SHOTS = {"secrets", "keys", *(f"{service}-migrate" for service in SERVICES)}
ROLES = {f"{service}-{role}" for service, definition in SERVICES.items() for role in definition.roles}
CONSOLE = CONTAINERS["console"]


def test_every_role_of_every_service_has_a_container() -> None:
    assert CONTAINERS.keys() >= ROLES


@pytest.mark.parametrize("name", CONTAINERS)
def test_no_container_has_more_rights_than_it_needs(name: str) -> None:
    container = CONTAINERS[name]

    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in container
    # Three images of third parties write into their installation when they start.
    assert container.get("read_only") or name in {"kafka", "grafana", "kafka-ui"}


@pytest.mark.parametrize("name", sorted(CONTAINERS.keys() - ONE_SHOTS))
def test_permanent_containers_are_restarted_and_have_health_checks(name: str) -> None:
    container = CONTAINERS[name]

    assert container["restart"] == "unless-stopped"
    # Our own image has its health check in the Dockerfile.
    assert "healthcheck" in container or container["image"].startswith("articurated/")


@pytest.mark.parametrize("name", sorted(ROLES))
def test_a_role_gets_more_time_to_stop_than_its_maximum(name: str) -> None:
    container = CONTAINERS[name]

    assert int(container["stop_grace_period"].removesuffix("s")) > container["environment"]["SHUTDOWN_SECONDS"]


def test_nothing_listens_outside_this_machine() -> None:
    ports = [port for container in CONTAINERS.values() for port in container.get("ports", [])]

    others = ("gateway", "console", "sandbox", "mailbox", "kafka", "kafka-ui")
    monitoring = ("prometheus", "alertmanager", "grafana", "jaeger")
    assert len(ports) == len(SERVICES) + len(others) + len(monitoring)
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_a_role_can_read_no_secret_of_another_service_and_no_owner_login() -> None:
    for service, definition in SERVICES.items():
        for role in definition.roles:
            volumes = [volume.split(":")[0] for volume in CONTAINERS[f"{service}-{role}"]["volumes"]]
            assert [volume for volume in volumes if "secret" in volume] == [f"{service}-secrets"]


def test_the_console_asks_every_role_and_can_read_no_secret_of_a_service() -> None:
    addresses = parse_roles(CONSOLE["environment"]["ROLE_ADDRESSES"])

    assert dict(addresses) == {name: f"http://{name}:8000" for name in ROLES}
    assert CONSOLE["volumes"] == ["console-secrets:/run/secrets:ro"]
    assert int(CONSOLE["stop_grace_period"].removesuffix("s")) > CONSOLE["environment"]["SHUTDOWN_SECONDS"]


def test_every_setting_is_listed_with_its_default() -> None:
    settings = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    documented = dict(re.findall(r"^#(\w+)=(.*)$", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))

    assert documented == settings
