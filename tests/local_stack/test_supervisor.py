"""The supervisor of `make up`: start, restart and stop of its processes."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from local_stack.postgres import BINARIES
from local_stack.services import SERVICES
from local_stack.stack_json import NotRunningError, StackDescription, running_stack
from support.processes.supervisor import RunningSupervisor, assert_nothing_runs
from support.waiting import poll

Up = Callable[..., RunningSupervisor]
# Up to two starts, which a busy machine makes long.
pytestmark = pytest.mark.timeout(300)

KEY_ROLES = ["client", "warehouse", "payments", "manager", "ops"]


@pytest.fixture(scope="module")
def stack(import_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSupervisor]:
    """One stack with a process for each role, for tests that do not stop it."""
    supervisor = RunningSupervisor(tmp_path_factory.mktemp("shared") / "stack", import_path, ROLES="split")
    try:
        supervisor.until_ready()
        yield supervisor
    finally:
        supervisor.end()


def test_every_role_of_every_service_runs_and_responds(stack: RunningSupervisor) -> None:
    description = running_stack(stack.folder)
    names = {each["name"] for each in description["processes"]}
    roles = {f"{service}-{role}" for service, definition in SERVICES.items() for role in definition.roles}
    assert names == {"postgres", "kafka", "sandbox", "mailbox", "gateway", "console"} | roles
    for each in description["processes"]:
        assert Path(each["log"]).exists()
        if each["url"].startswith("http"):
            assert urlopen(f"{each['url']}/livez").status == 200  # noqa: S310


def test_each_service_gets_its_settings_and_not_the_owners_login(stack: RunningSupervisor) -> None:
    description = running_stack(stack.folder)
    [orders] = stack.calls("orders", "api")
    environment = orders["environment"]
    assert environment["DATABASE_URL"] == description["databases"]["orders"]
    assert environment["KAFKA_BOOTSTRAP"] == description["kafka"]["bootstrap"]
    assert environment["INVOICE_DOWNLOAD_URL"] == description["services"]["invoicing"]["url"]
    assert environment["RETRY_UNIT_SECONDS"] == "60"
    assert "MIGRATION_DATABASE_URL" not in environment
    [invoicing] = stack.calls("invoicing", "worker")
    assert invoicing["environment"]["LINK_SIGNING_KEY"] == environment["LINK_SIGNING_KEY"]
    assert invoicing["environment"]["DOCUMENT_FOLDER"] == description["documents"]


def test_migrations_and_api_keys_exist_before_any_role_starts(stack: RunningSupervisor) -> None:
    before_roles = [call["arguments"][1] for call in stack.calls() if call["arguments"][0] != "sandbox"][:8]
    assert sorted(before_roles) == ["api-keys"] * 4 + ["migrate"] * 4
    [migration] = stack.calls("orders", "migrate")
    assert migration["environment"]["MIGRATION_DATABASE_URL"].startswith("postgresql://orders_owner:")
    [ensure] = stack.calls("orders", "api-keys", "ensure", "--from-file")
    assert Path(ensure["arguments"][-1]).exists()


def test_there_is_one_key_for_each_role_and_only_its_owner_may_read_it(stack: RunningSupervisor) -> None:
    keys = running_stack(stack.folder)["api_keys"]
    assert list(keys) == KEY_ROLES
    assert len(set(keys.values())) == len(KEY_ROLES)
    for secret in ("stack.json", "api-keys.json", "secrets.json", "postgres/passwords.json"):
        assert (stack.folder / secret).stat().st_mode & 0o777 == 0o600, secret
    for key in keys.values():
        assert key in stack.output


def test_the_applications_login_may_connect_but_not_change_the_schema(stack: RunningSupervisor) -> None:
    dsn = running_stack(stack.folder)["databases"]["orders"]
    assert "orders" in query(dsn, "SELECT current_user").stdout
    assert "permission denied for schema public" in query(dsn, "CREATE TABLE mine ()").stderr
    assert "password authentication failed" in query(dsn.replace("//orders:", "//orders_owner:"), "SELECT 1").stderr


@pytest.mark.parametrize("name", ["orders-consumer", "postgres", "kafka", "mailbox"])
def test_a_killed_process_is_restarted_at_the_same_address(stack: RunningSupervisor, name: str) -> None:
    before = {each["name"]: each for each in running_stack(stack.folder)["processes"]}
    os.kill(before[name]["pid"], signal.SIGKILL)
    poll(lambda: stack.pid_of(name) != before[name]["pid"])
    after = {each["name"]: each for each in running_stack(stack.folder)["processes"]}
    assert after[name] == before[name] | {"pid": stack.pid_of(name)}
    assert {other for other in after if after[other] != before[other]} == {name}
    os.kill(after[name]["pid"], 0)


def test_the_database_is_available_again_after_a_kill(stack: RunningSupervisor) -> None:
    dsn = running_stack(stack.folder)["databases"]["refunds"]
    os.kill(stack.pid_of("postgres"), signal.SIGKILL)
    poll(lambda: query(dsn, "SELECT 'back'").stdout == "back\n")


def test_a_second_supervisor_for_the_same_folder_does_not_start(stack: RunningSupervisor, import_path: str) -> None:
    second = RunningSupervisor(stack.folder.parent / "second", import_path, STACK_DIR=str(stack.folder))
    assert second.process.wait(10) == 1
    assert f"its supervisor is process {stack.process.pid}" in second.output
    assert running_stack(stack.folder)


def test_after_sigterm_nothing_runs_and_a_second_up_continues_with_the_data(up: Up) -> None:
    first = up()
    before = first.until_ready()
    query(owner_dsn(first), "CREATE TABLE kept AS SELECT 42 AS answer")
    start = time.monotonic()
    assert first.end(signal.SIGTERM) == 0
    assert time.monotonic() - start < 15
    assert_nothing_runs(first.folder)
    assert not (first.folder / "stack.json").exists()

    second = up()
    after = second.until_ready()
    assert without_pids(after) == without_pids(before)
    assert query(owner_dsn(second), "SELECT answer FROM kept").stdout == "42\n"
    assert (second.folder / "logs" / "orders.log.last").exists()


def test_the_processes_of_a_killed_supervisor_end_and_the_next_one_continues(up: Up) -> None:
    first = up()
    before = first.until_ready()
    creation = query(owner_dsn(first), "CREATE TABLE kept AS SELECT 42 AS answer")
    assert creation.returncode == 0, creation.stderr
    first.end(signal.SIGKILL)
    with pytest.raises(NotRunningError):
        running_stack(first.folder)
    second = up()
    after = second.until_ready()
    assert without_pids(after) == without_pids(before)
    result = query(owner_dsn(second), "SELECT answer FROM kept")
    assert result.stdout == "42\n", result.stderr
    second.end(signal.SIGKILL)
    assert_nothing_runs(second.folder)


def test_ctrl_c_during_the_start_ends_all_processes(up: Up) -> None:
    supervisor = up()
    poll(lambda: (supervisor.folder / "logs" / "kafka.log").exists())
    assert supervisor.end(signal.SIGINT) == 0
    assert_nothing_runs(supervisor.folder)


def test_a_failed_migration_stops_the_start_and_prints_the_reason(up: Up) -> None:
    supervisor = up(FAILING="returns")
    assert supervisor.process.wait(60) == 1
    assert "returns migrate ended with 1" in supervisor.output
    assert "returns cannot work like this" in supervisor.output
    assert_nothing_runs(supervisor.folder)


def test_processes_that_ignore_sigterm_and_orphaned_processes_are_killed(up: Up) -> None:
    supervisor = up(STUBBORN="refunds", BACKGROUND="invoicing")
    supervisor.until_ready()
    start = time.monotonic()
    assert supervisor.end() == 0
    assert time.monotonic() - start < 15
    assert_nothing_runs(supervisor.folder)


def test_settings_and_ports_can_be_configured(up: Up) -> None:
    supervisor = up(PORT_ORDERS="14567", RETRY_UNIT_SECONDS="0.5", RATE_LIMIT_PER_MINUTE="0")
    assert supervisor.until_ready()["services"]["orders"]["url"] == "http://127.0.0.1:14567"
    [orders] = supervisor.calls("orders", "all")
    assert orders["environment"]["RETRY_UNIT_SECONDS"] == "0.5"
    assert orders["environment"]["RATE_LIMIT_PER_MINUTE"] == "0"


def query(dsn: str, statement: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BINARIES / "psql", "-XAt", "-d", dsn, "-c", statement], capture_output=True, text=True)


def owner_dsn(supervisor: RunningSupervisor) -> str:
    return str(supervisor.calls("orders", "migrate")[-1]["environment"]["MIGRATION_DATABASE_URL"])


def without_pids(description: StackDescription) -> dict[str, object]:
    processes = [{**each, "pid": None} for each in description["processes"]]
    return {**description, "processes": processes}
