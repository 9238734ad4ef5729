"""The database address has one parser, which roles, migrations, probes and operators' commands share."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest
import trustme
from common.database.address import parse_address
from common.database.address_parameters import InvalidAddress
from common.database.connecting import connect
from common.database.schema_version import revision_streams
from common.database.transactions import open_pool
from common.running.migrate import migrate_database
from local_stack.kafka import Kafka
from local_stack.postgres import Postgres
from sqlalchemy import MetaData
from support.postgres.tls_proxy import tls_in_front_of
from support.processes.servers import new_postgres
from support.processes.service import running_service

PASSWORD = "p@:/?#%& wörd +=\"'%41"


@dataclass(frozen=True)
class SecureServer:
    """A server whose `port` accepts only TLS connections."""

    postgres: Postgres
    port: int
    authority: Path
    stranger: Path
    """The certificate of another authority, which has not signed the server's certificate."""

    def url(self, login: str, *parameters: str, hosts: str | None = None) -> str:
        hosts = hosts or f"127.0.0.1:{self.port}"
        return f"postgresql://{login}:{quote(PASSWORD, safe='')}@{hosts}/orders?{'&'.join(parameters)}"

    def verified(self, login: str, *parameters: str, hosts: str | None = None) -> str:
        root = quote(str(self.authority), safe="")
        return self.url(login, "sslmode=verify-full", f"sslrootcert={root}", *parameters, hosts=hosts)


@pytest.fixture(scope="module")
def server(session_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureServer]:
    folder = tmp_path_factory.mktemp("authorities") / "with + & ü"
    folder.mkdir()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    trustme.CA().cert_pem.write_to_path(folder / "stranger.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    with (
        new_postgres(session_folder / "postgres-behind-tls") as postgres,
        tls_in_front_of(postgres.port, context) as port,
    ):
        postgres.create_database("orders")
        secret = "".join(f"\\{ord(character):04x}" for character in PASSWORD)
        postgres.execute(*(f"ALTER ROLE {role} PASSWORD U&'{secret}';" for role in ("orders", "orders_owner")))
        yield SecureServer(postgres, port, folder / "authority.pem", folder / "stranger.pem")


SESSION = "SELECT current_user::text, current_setting('application_name'), current_setting('lock_timeout')"


async def test_a_password_of_any_characters_and_a_verified_certificate_open_a_connection(server: SecureServer) -> None:
    url = server.verified("orders", "application_name=the+studio", "options=-c%20lock_timeout=7s")
    connection = await connect(url, timeout=5, server_settings={"application_name": "ours"})
    try:
        assert tuple(await connection.fetchrow(SESSION) or ()) == ("orders", "the+studio", "7s")
    finally:
        await connection.close()


@pytest.mark.parametrize("parameter", ["sslmode=require", "ssl=require", "ssl=true", "sslmode=prefer", ""])
async def test_both_parameters_for_tls_are_accepted(server: SecureServer, parameter: str) -> None:
    async with await open_pool(server.url("orders", parameter), size=1, application_name="ours") as pool:
        assert tuple(await pool.fetchrow(SESSION) or ()) == ("orders", "ours", "5s")


async def test_a_certificate_of_an_untrusted_authority_is_rejected(server: SecureServer) -> None:
    root = quote(str(server.stranger), safe="")
    with pytest.raises(OSError, match=r"(?i)certificate.verify.failed"):
        await connect(server.url("orders", "sslmode=verify-ca", f"sslrootcert={root}"), timeout=5)


async def test_a_server_that_requires_tls_rejects_plain_connections(server: SecureServer) -> None:
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await connect(server.url("orders", "sslmode=disable"), timeout=5)


@pytest.mark.parametrize("target", ["any", "read-write", "primary", "prefer-standby"])
async def test_of_several_hosts_one_that_responds_is_used(server: SecureServer, target: str) -> None:
    hosts = f"127.0.0.1:9,localhost:{server.port}"
    connection = await connect(server.verified("orders", f"target_session_attrs={target}", hosts=hosts), timeout=5)
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()


async def test_a_hanging_host_leaves_enough_time_for_the_others(server: SecureServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and never responds
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{server.port}"
        connection = await connect(server.verified("orders", hosts=hosts), timeout=4)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()


@pytest.mark.parametrize("mode", ["require", "prefer", "disable"])
async def test_after_a_proxy_that_closes_connections_the_next_host_is_tried(mode: str) -> None:
    """A proxy of a host that is down accepts the connection, and may close it before or after the TLS request."""
    names: list[str] = []

    def closing(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            names.append(name)
            await reader.read(1)
            writer.close()

        return close

    async with (
        await asyncio.start_server(closing("first"), "127.0.0.1", 0) as first,
        await asyncio.start_server(closing("second"), "127.0.0.1", 0) as second,
    ):
        hosts = ",".join(f"127.0.0.1:{each.sockets[0].getsockname()[1]}" for each in (first, second))
        with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
            await connect(f"postgresql://orders:secret@{hosts}/orders?sslmode={mode}", timeout=5)
    assert "second" in names


async def test_without_a_host_of_the_requested_type_the_error_names_the_reason(server: SecureServer) -> None:
    port = server.port
    url = server.verified("orders", "target_session_attrs=standby", hosts=f"127.0.0.1:{port},localhost:{port}")
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
        await connect(url, timeout=5)


@pytest.mark.parametrize(
    "more",
    [
        ["application_name=x", "target_session_attrs=read-write", "channel_binding=prefer", "connect_timeout=9"],
        ["client_encoding=utf8", "gssencmode=disable", "options=-c%20search_path%3Dpublic"],
    ],
)
def test_one_address_works_for_migrations_roles_and_operator_commands(
    server: SecureServer, kafka_server: Kafka, tmp_path: Path, more: list[str]
) -> None:
    hosts = f"127.0.0.1:9,127.0.0.1:{server.port}"
    environment = {
        "DATABASE_URL": server.verified("orders", *more, hosts=hosts),
        "MIGRATION_DATABASE_URL": server.verified("orders_owner", *more, hosts=hosts),
        "KAFKA_BOOTSTRAP": kafka_server.bootstrap,
    }
    for command in (["migrate"], ["api-keys", "list"]):
        with running_service("orders", *command, folder=tmp_path, environment=environment) as process:
            assert process.wait() == 0, process.log
    with running_service("orders", "api", folder=tmp_path, environment=environment) as process:
        process.wait_for("/readyz", 200)
        assert process.wait_for("/api/v1/health", 200).json()["services"]["database"] == "connected"
        assert process.stop() == 0, process.log


async def test_a_login_with_a_colon_gets_its_privileges(server: SecureServer) -> None:
    """SQL that contains a name is not parsed for parameters."""
    server.postgres.execute('CREATE ROLE "a:b" LOGIN;')
    await migrate_database(revision_streams(None), MetaData(), server.verified("orders_owner"), "a:b")
    query = "SELECT has_table_privilege('a:b', 'jobs', 'INSERT')"
    assert server.postgres.execute(query + ";", database="orders") == "t"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must have the form"),
        ("mysql://u:secret@h/db", "must have the form"),
        ("postgresql+psycopg://u:secret@h/db", "must have the form"),
        ("postgresql://u:secret@h:port/db", "host:port"),
        ("postgresql://u:secret@h:70000/db", "port"),
        ("postgresql://u:secret@::1/db", "in a password"),
        ("postgresql://u:secret/1@h/db", "%2F"),
        ("postgresql://u:1/secret@h/db", "%2F"),
        ("postgresql://u:1?secret@h/db", "%3F"),
        ("postgresql://u:1?secret=1@h/db", "%3F"),
        ("postgresql://u:secret%ff@h/db", "UTF-8"),
        ("postgresql://u:secret%00@h/db", "NUL"),
        ("postgresql://u:secret@h1,,h2/db", "host"),
        ("postgresql://u:secret@h/db?sslmode=sure", "sslmode"),
        ("postgresql://u:secret@h/db?ssl=sure", "sslmode"),
        ("postgresql://u:secret@h/db?ssl=require&sslmode=disable", "sslmode twice"),
        ("postgresql://u:secret@h/db?sslmode=verify-full", "sslrootcert"),
        ("postgresql://u:secret@h/db?sslmode=verify-full&sslrootcert=/nowhere", "sslrootcert"),
        ("postgresql://u:secret@h/db?sslmode=verify-full&sslrootcert=/etc/hostname", "TLS"),
        ("postgresql://u:secret@h/db?sslmode=require&sslrootcert=system", "verify-full"),
        ("postgresql://u:secret@h/db?channel_binding=require", "channel_binding"),
        ("postgresql://u:secret@h/db?target_session_attrs=leader", "target_session_attrs"),
        ("postgresql://u:secret@h/db?service=studio", "service"),
        ("postgresql://u:secret@h/db?statement_timeout=5", "options=-c%20name=value"),
        ("postgresql://u:secret@h/db?keepalives=1", "keepalives"),
        ("postgresql://u:secret@h/db?connect_timeout=soon", "connect_timeout"),
        ("postgresql://u:secret@h/db?user=other", "user twice"),
        ("postgresql://u:secret@h/db?host=other", "hosts twice"),
    ],
)
def test_an_invalid_address_is_reported_without_the_password(url: str, message: str) -> None:
    with pytest.raises(InvalidAddress) as raised:
        parse_address(url)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "hosts", "user", "password", "database"),
    [
        ("postgres://u:p@h:1/d", [("h", 1)], "u", "p", "d"),
        ("postgresql+asyncpg://u:p@[::1]:1/d", [("::1", 1)], "u", "p", "d"),
        ("postgresql://u:p@h1,h2:2,[::1]/d", [("h1", None), ("h2", 2), ("::1", None)], "u", "p", "d"),
        ("postgresql://u:p@h1,h2/d?port=1,2", [("h1", 1), ("h2", 2)], "u", "p", "d"),
        ("postgresql://%2Frun%2Fpostgresql/d", [("/run/postgresql", None)], None, None, "d"),
        ("postgresql:///d?host=/run/postgresql&user=u&password=a+b", [("/run/postgresql", None)], "u", "a+b", "d"),
        ("postgresql://u%40x:p%2Fp#p:p@h/d%20d", [("h", None)], "u@x", "p/p#p:p", "d d"),
        ("postgresql://u:a+b%2B%25@h/d", [("h", None)], "u", "a+b+%", "d"),
    ],
)
def test_an_address_is_parsed_into_its_parts(
    url: str, hosts: list[tuple[str, int | None]], user: str | None, password: str | None, database: str
) -> None:
    address = parse_address(url)
    assert list(address.hosts) == hosts
    assert (address.user, address.password, address.database) == (user, password, database)
    assert "p/p" not in repr(address)


def test_system_trust_verifies_names_and_certificates() -> None:
    arguments = parse_address("postgresql://u@h/d?sslmode=verify-full&sslrootcert=system").arguments()
    assert arguments["ssl"].check_hostname
    assert "dsn" not in arguments


def test_addresses_are_parsed_in_one_module_only() -> None:
    """Nowhere else do asyncpg or SQLAlchemy parse an address."""
    root = Path(__file__).parents[3]
    sources = [path for folder in ("libs", "services") for path in (root / folder).rglob("*.py")]
    readers = {path.name for path in sources if "asyncpg.connect(" in path.read_text()}
    assert readers == {"connecting.py"}
    assert not [path.name for path in sources if "make_url(settings" in path.read_text()]
