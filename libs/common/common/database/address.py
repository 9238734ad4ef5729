"""The address of a database, read once and for all: whatever connects is given what `parse_address` makes of it.

asyncpg, SQLAlchemy and libpq each read such an address in their own way; only this module does here (ADR 0023).
"""

import getpass
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")
_HOST = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.%]+)\](?::(?P<v6_port>\d*))?|(?P<name>[^:\[\]\s]+)(?::(?P<port>\d*))?")
_NAME = re.compile(r"[A-Za-z_]{1,40}")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# `ssl` is how SQLAlchemy's address says it.
_SSL_ALIASES = {
    "true": "require",
    "on": "require",
    "1": "require",
    "false": "disable",
    "off": "disable",
    "0": "disable",
}
_CHOICES = {
    "sslmode": _SSL_MODES,
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "ssl_max_protocol_version": ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8", "auto"),
}
# What libpq offers and asyncpg has not; fine as long as nobody insists.
_NOT_OFFERED = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
}
_INSTEAD = {"channel_binding": "; sslmode=verify-full keeps others from standing between"}
_TLS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
)  # fmt: skip
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_SERVER_SETTINGS = ("application_name", "options")
_WHERE = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
_KNOWN = frozenset(
    [*_CHOICES, *_NOT_OFFERED, *_TLS, *_FILES, *_SERVER_SETTINGS, *_WHERE.values(), *_WHERE, "ssl", "connect_timeout"]
)


class InvalidAddress(ValueError):
    """Says which part is wrong, and never repeats the address, which has a password."""


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """What is None or empty is found as libpq does: in `PGHOST` and the like, `~/.pgpass`, or its defaults."""

    hosts: tuple[tuple[str, int | None], ...]
    user: str | None
    password: str | None = field(repr=False)
    database: str | None
    parameters: Mapping[str, str] = field(repr=False)

    @property
    def login(self) -> str:
        """Who logs in."""
        return self.user or os.environ.get("PGUSER") or getpass.getuser()

    @property
    def connect_timeout(self) -> float | None:
        """Seconds, if the address says so; 0 there means no limit, which nobody has here."""
        return float(self.parameters.get("connect_timeout", 0)) or None

    @property
    def server_settings(self) -> dict[str, str]:
        """What the server is asked to set for the session."""
        return {name: self.parameters[name] for name in _SERVER_SETTINGS if name in self.parameters}

    def arguments(self) -> dict[str, Any]:
        """For `asyncpg.connect`, without the hosts and the server settings."""
        tls = {name: self.parameters[name] for name in _TLS if name in self.parameters}
        given: dict[str, Any] = {"user": self.user, "password": self.password, "database": self.database}
        given |= {name: self.parameters.get(name) for name in ("target_session_attrs", "passfile")}
        if tls.get("sslrootcert") == "system":
            return {**given, "ssl": _system_trust(tls), "direct_tls": tls.get("sslnegotiation") == "direct"}
        # Only as part of an address does asyncpg take these; it then makes of them what libpq does.
        return {**given, "dsn": "postgresql://?" + urlencode(tls, quote_via=quote)} if tls else given


@lru_cache(maxsize=16)
def parse_address(url: str) -> DatabaseAddress:
    """`postgresql://user:password@host:port,host:port/database?parameter=value&…`, the characters `% / ? @` of a name
    or a password percent-encoded. Raises `InvalidAddress` for what is not understood."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise InvalidAddress("must have the form postgresql://user:password@host:port/database")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    if "@" in path:
        raise InvalidAddress("has an @ behind its first /: in a password, / and ? are %2F and %3F")
    credentials, _, hosts = authority.rpartition("@")
    user, _, password = credentials.partition(":")
    if not credentials and re.search("@.*/", query):
        raise InvalidAddress("has an @ behind its first ?: in a password, a ? is %3F")
    parameters = _parameters(query)
    written = {"host": hosts, "user": user, "password": password, "dbname": path}
    where = {name: _either(name, _decode(value, name), parameters) for name, value in written.items() if name != "host"}
    address = DatabaseAddress(
        hosts=_hosts(hosts, parameters),
        user=where["user"],
        password=where["password"],
        database=where["dbname"],
        parameters={name: value for name, value in parameters.items() if name not in {*_WHERE, "database"}},
    )
    _require_usable_tls(address.parameters)
    return address


def _parameters(query: str) -> dict[str, str]:
    """As libpq reads them: a `+` is a plus. Those without a value count as not given."""
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        written_name, equals, written_value = part.partition("=")
        name = _decode(written_name, "a parameter's name")
        if not _NAME.fullmatch(name) or not equals:
            raise InvalidAddress("has something else than name=value behind a ?, which in a password is %3F")
        if name not in _KNOWN:
            raise InvalidAddress(
                f"has the parameter {name}, which is not understood; a setting of the server has the form "
                f"options=-c%20name=value"
            )
        value = _decode(written_value, name)
        name, value = ("sslmode", _SSL_ALIASES.get(value, value)) if name == "ssl" else (name, value)
        name = "dbname" if name == "database" else name
        if found.get(name, value) != value:
            raise InvalidAddress(f"has the parameter {name} twice")
        if value:
            found[name] = _checked(name, value)
    return found


def _checked(name: str, value: str) -> str:
    choices = _CHOICES.get(name) or _NOT_OFFERED.get(name)
    if choices and value not in choices:
        raise InvalidAddress(f"has a value for {name} that is none of {', '.join(choices)}{_INSTEAD.get(name, '')}")
    if name == "connect_timeout" and not (value.isascii() and value.isdigit()):
        raise InvalidAddress("has a connect_timeout that is not a whole number of seconds")
    if name in _FILES and value != "system" and not os.access(value, os.R_OK):
        raise InvalidAddress(f"names a file for {name} that cannot be read")
    return value


def _hosts(written: str, parameters: Mapping[str, str]) -> tuple[tuple[str, int | None], ...]:
    listed = parameters.get("host")
    if written and listed:
        raise InvalidAddress("names its hosts twice")
    hosts = written or listed or ""
    found = [_host(_decode(each, "a host")) for each in hosts.split(",")] if hosts else []
    ports = [_port(each) for each in parameters.get("port", "").split(",")]
    if ports == [None]:
        return tuple(found)
    if not found or any(port for _, port in found) or len(ports) not in (1, len(found)):
        raise InvalidAddress("has another number of ports than hosts, or names them twice")
    ports = ports * len(found) if len(ports) == 1 else ports
    return tuple((host, port) for (host, _), port in zip(found, ports, strict=True))


def _host(text: str) -> tuple[str, int | None]:
    if text.startswith("/"):  # the directory of a socket
        return text, None
    match = _HOST.fullmatch(text)
    if match is None:
        raise InvalidAddress(
            "has a host that is not host:port, or [address]:port for IPv6; in a password, / and ? are %2F and %3F"
        )
    return match["v6"] or match["name"], _port(match["v6_port"] or match["port"] or "")


def _port(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise InvalidAddress("has a port that is not a number from 1 to 65535")
    return int(text)


def _either(name: str, written: str, parameters: Mapping[str, str]) -> str | None:
    if written and name in parameters:
        raise InvalidAddress(f"names its {_WHERE[name]} twice")
    return written or parameters.get(name)


def _decode(text: str, part: str) -> str:
    """Raises `InvalidAddress` for bytes that are no UTF-8, and for NUL, which PostgreSQL cannot be sent."""
    try:
        decoded = unquote(text, errors="strict")
        decoded.encode()
    except UnicodeError:
        raise InvalidAddress(f"has percent-encoded bytes in {part} that are not UTF-8") from None
    if "\0" in decoded:
        raise InvalidAddress(f"has a NUL character in {part}")
    return decoded


def _require_usable_tls(parameters: Mapping[str, str]) -> None:
    """Certificates are read now: a wrong file is better told at the start than at the first connection."""
    root, mode = parameters.get("sslrootcert"), parameters.get("sslmode")
    if root == "system" and mode != "verify-full":
        raise InvalidAddress("has sslrootcert=system, which needs sslmode=verify-full")
    if parameters.get("sslnegotiation") == "direct" and mode not in ("require", "verify-ca", "verify-full"):
        raise InvalidAddress("has sslnegotiation=direct, which needs sslmode=require or stronger")
    if mode in ("verify-ca", "verify-full") and root is None and not _has_standard_root():
        raise InvalidAddress(f"has sslmode={mode}, which needs sslrootcert, the authority's certificate (or system)")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for authorities in filter(None, (root if root != "system" else None, parameters.get("sslcrl"))):
            context.load_verify_locations(authorities)
        if "sslkey" in parameters:  # there is a standard file for it
            _present_certificate(context, parameters)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise InvalidAddress(
            f"names files for TLS that cannot be used: {getattr(error, 'reason', None) or error}"
        ) from None


def _has_standard_root() -> bool:
    return "PGSSLROOTCERT" in os.environ or Path("~/.postgresql/root.crt").expanduser().exists()


def _system_trust(tls: Mapping[str, str]) -> ssl.SSLContext:
    """Of sslmode=verify-full, with the authorities that this machine trusts."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    _present_certificate(context, tls)
    return context


def _present_certificate(context: ssl.SSLContext, tls: Mapping[str, str]) -> None:
    if "sslcert" in tls:
        context.load_cert_chain(tls["sslcert"], tls.get("sslkey"), lambda: tls.get("sslpassword", ""))
