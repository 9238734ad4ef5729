"""Settings of the local stack, and the choice of its ports."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from local_stack import ports, stack_json
from local_stack.folder_lock import InUseError, exclusive_use
from local_stack.ports import PortTakenError, assign_ports, free_ports, is_free
from local_stack.settings import SettingsError, StackSettings


@pytest.fixture
def port_in_use() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_without_settings_there_is_one_process_per_service_in_dot_local() -> None:
    settings = StackSettings.from_environment({})
    assert settings.folder == Path.cwd() / ".local"
    assert not settings.split
    assert settings.ports == {}
    assert settings.environment == {"RETRY_UNIT_SECONDS": "60", "RATE_LIMIT_PER_MINUTE": "100"}


def test_ports_are_read_by_name() -> None:
    settings = StackSettings.from_environment({"PORT_ORDERS": "8001", "PORT_KAFKA_CONTROLLER": "9093"})
    assert settings.ports == {"orders": 8001, "kafka-controller": 9093}


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"ROLES": "some"}, "ROLES must be all or split, not 'some'"),
        ({"STACK_DIR": "/dev/null/stack"}, "STACK_DIR must be a folder or a new path; /dev/null is a file"),
        ({"PORT_ORDERS": "http"}, "PORT_ORDERS must be a port number, not 'http'"),
        ({"PORT_ORDERS": "65536"}, "PORT_ORDERS must be a port number, not '65536'"),
    ],
)
def test_an_invalid_setting_is_rejected(environment: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        StackSettings.from_environment(environment)


def test_free_ports_are_different_and_outside_the_range_of_outgoing_connections() -> None:
    numbers = free_ports(20)
    assert len(set(numbers)) == 20
    assert all(port in ports.PORT_RANGE and is_free(port) for port in numbers)


def test_a_later_run_gets_the_same_ports(tmp_path: Path) -> None:
    first = assign_ports(["orders", "kafka"], {}, tmp_path / "ports.json")
    assert assign_ports(["kafka", "orders"], {}, tmp_path / "ports.json") == first


def test_a_remembered_port_that_is_in_use_is_replaced(
    tmp_path: Path, port_in_use: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "WAIT_SECONDS", 0)
    assign_ports(["orders"], {"orders": free_ports(1)[0]}, tmp_path / "ports.json")
    (tmp_path / "ports.json").write_text(f'{{"orders": {port_in_use}}}')
    assert assign_ports(["orders"], {}, tmp_path / "ports.json")["orders"] != port_in_use


def test_a_configured_port_that_is_in_use_is_an_error(
    tmp_path: Path, port_in_use: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "WAIT_SECONDS", 0)
    with pytest.raises(PortTakenError, match=f"port {port_in_use} for orders is in use"):
        assign_ports(["orders"], {"orders": port_in_use}, tmp_path / "ports.json")


def test_the_lock_on_a_folder_is_released_at_the_end(tmp_path: Path) -> None:
    with exclusive_use(tmp_path), pytest.raises(InUseError), exclusive_use(tmp_path):
        pass
    with exclusive_use(tmp_path):
        pass


def test_files_of_a_killed_supervisor_are_not_used_by_the_next_one(tmp_path: Path) -> None:
    description = {"documents": "/invoices"}
    with subprocess.Popen([sys.executable, "-c", ""]) as ended_process:
        ended_process.wait()
    (tmp_path / stack_json.FILE).write_text(json.dumps({"supervisor_pid": ended_process.pid, **description}))
    with exclusive_use(tmp_path):
        with pytest.raises(stack_json.NotRunningError):
            stack_json.running_stack(tmp_path)
        (tmp_path / stack_json.FILE).write_text(json.dumps({"supervisor_pid": os.getpid(), **description}))
        assert stack_json.running_stack(tmp_path)["documents"] == "/invoices"
        stack_json.remove(tmp_path)
        with pytest.raises(stack_json.NotRunningError):
            stack_json.running_stack(tmp_path)
