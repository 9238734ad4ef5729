"""Parses the address of a database, `postgresql://…`, as libpq does.

asyncpg, SQLAlchemy and libpq each parse such an address differently, so only this package does (ADR 23); every client
that connects receives what `parse_address` returns.
"""

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from common.database.address_parameters import (
    PARTS,
    SERVER_SETTINGS,
    TLS,
    InvalidAddress,
    context_with_system_authorities,
    decode,
    parse_parameters,
    require_usable_tls,
)

DEFAULT_CONNECT_SECONDS = 5.0
_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
_HOST = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.%]+)\](?::(?P<v6_port>\d*))?|(?P<name>[^:\[\]\s]+)(?::(?P<port>\d*))?")


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Parts that are None or empty come from libpq's other sources: `PGHOST` and so on, `~/.pgpass`, defaults."""

    hosts: tuple[tuple[str, int | None], ...]
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def login(self) -> str:
        """The database user's name."""
        return self.user or os.environ.get("PGUSER") or getpass.getuser()

    @property
    def connect_timeout(self) -> float:
        """Seconds. 0 in the address, in libpq no limit, is the default here."""
        return float(self.parameters.get("connect_timeout", 0)) or DEFAULT_CONNECT_SECONDS

    @property
    def server_settings(self) -> dict[str, str]:
        """Settings that the server applies to the session."""
        return {name: self.parameters[name] for name in SERVER_SETTINGS if name in self.parameters}

    def arguments(self) -> dict[str, Any]:
        """For `asyncpg.connect`, without the hosts and the server settings."""
        tls = {name: self.parameters[name] for name in TLS if name in self.parameters}
        arguments: dict[str, Any] = {"user": self.user, "password": self.password, "database": self.database}
        arguments |= {name: self.parameters.get(name) for name in ("target_session_attrs", "passfile")}
        if tls.get("sslrootcert") == "system":
            arguments["ssl"] = context_with_system_authorities(tls)
            arguments["direct_tls"] = tls.get("sslnegotiation") == "direct"
        elif tls:  # asyncpg accepts these only in an address; it then handles them as libpq does
            arguments["dsn"] = "postgresql://?" + urlencode(tls, quote_via=quote)
        return arguments


@lru_cache(maxsize=16)
def parse_address(url: str) -> DatabaseAddress:
    """`postgresql://user:password@host:port,host:port/database?parameter=value&…`, the characters `% / ? @` of a name
    or a password percent-encoded. Raises `InvalidAddress`."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise InvalidAddress("must have the form postgresql://user:password@host:port/database")
    rest, _, query = rest.partition("?")
    authority, _, database = rest.partition("/")
    if "@" in database:
        raise InvalidAddress("has an @ behind its first /: in a password, / and ? are %2F and %3F")
    credentials, _, hosts = authority.rpartition("@")
    if not credentials and re.search("@.*/", query):
        raise InvalidAddress("has an @ behind its first ?: in a password, a ? is %3F")
    user, _, password = credentials.partition(":")
    parameters = parse_parameters(query)
    address = DatabaseAddress(
        hosts=_hosts(hosts, parameters),
        user=_part("user", user, parameters),
        password=_part("password", password, parameters),
        database=_part("dbname", database, parameters),
        parameters={name: value for name, value in parameters.items() if name not in PARTS},
    )
    require_usable_tls(address.parameters)
    return address


def _part(name: str, encoded: str, parameters: Mapping[str, str]) -> str | None:
    value = decode(encoded, name)
    if value and name in parameters:
        raise InvalidAddress(f"names its {PARTS[name]} twice")
    return value or parameters.get(name)


def _hosts(encoded: str, parameters: Mapping[str, str]) -> tuple[tuple[str, int | None], ...]:
    if encoded and "host" in parameters:
        raise InvalidAddress("names its hosts twice")
    text = encoded or parameters.get("host", "")
    hosts = [_host(decode(each, "a host")) for each in text.split(",")] if text else []
    ports = [_port(each) for each in parameters.get("port", "").split(",")]
    if ports == [None]:
        return tuple(hosts)
    if not hosts or any(port for _, port in hosts) or len(ports) not in (1, len(hosts)):
        raise InvalidAddress("has another number of ports than hosts, or names them twice")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return tuple((host, port) for (host, _), port in zip(hosts, ports, strict=True))


def _host(text: str) -> tuple[str, int | None]:
    if text.startswith("/"):  # the folder of a Unix socket
        return text, None
    match = _HOST.fullmatch(text)
    if match is None:
        raise InvalidAddress(
            "has a host that is not host:port, or [address]:port for IPv6; in a password, / and ? are %2F and %3F"
        )
    return match["v6"] or match["name"], _port(match["v6_port"] or match["port"] or "")


def _port(text: str) -> int | None:
    if text and not is_port(text):
        raise InvalidAddress("has a port that is not a number from 1 to 65535")
    return int(text) if text else None


def is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
