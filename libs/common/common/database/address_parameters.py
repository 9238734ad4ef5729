"""The parameters of a database address, after its `?`: which exist, which values they may have, and TLS.

They are checked at the start, also the files of certificates and keys, not at the first connection.
"""

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

# Parameters that may also be given before the `?`, and what messages call them.
PARTS = {"host": "host", "port": "port", "user": "user", "password": "password", "dbname": "database"}
SERVER_SETTINGS = ("application_name", "options")
TLS = (
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl", "sslnegotiation",
    "ssl_min_protocol_version", "ssl_max_protocol_version",
)  # fmt: skip

_NAME = re.compile(r"[A-Za-z_]{1,40}")
_TLS_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "sslnegotiation": ("postgres", "direct"),
    "ssl_min_protocol_version": _TLS_VERSIONS,
    "ssl_max_protocol_version": _TLS_VERSIONS,
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "client_encoding": ("utf8", "UTF8", "utf-8", "UTF-8", "auto"),
}
# Features of libpq that asyncpg lacks: only values that do not require them are accepted.
_NOT_OFFERED = {
    "channel_binding": ("disable", "prefer"),
    "gssencmode": ("disable", "prefer"),
    "load_balance_hosts": ("disable",),
}
_ALTERNATIVES = {"channel_binding": "; sslmode=verify-full prevents interception"}
# SQLAlchemy's name for sslmode, and the values that only that name may have.
_SSL_ALIASES = dict.fromkeys(("true", "on", "1"), "require") | dict.fromkeys(("false", "off", "0"), "disable")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_KNOWN = frozenset(
    [*_CHOICES, *_NOT_OFFERED, *TLS, *_FILES, *SERVER_SETTINGS, *PARTS.values(), *PARTS, "ssl", "connect_timeout"]
)


class InvalidAddress(ValueError):
    """Names the part that is wrong. The message never contains the address, which has a password."""


def decode(text: str, part: str) -> str:
    """Raises `InvalidAddress`, naming `part`, for bytes that are not UTF-8, and for NUL, which PostgreSQL rejects."""
    try:
        value = unquote(text, errors="strict")
        value.encode()
    except UnicodeError:
        raise InvalidAddress(f"has percent-encoded bytes in {part} that are not UTF-8") from None
    if "\0" in value:
        raise InvalidAddress(f"has a NUL character in {part}")
    return value


def parse_parameters(query: str) -> dict[str, str]:
    """`name=value&…` as libpq reads it: a `+` is a plus, and a parameter with an empty value is ignored.

    The names `ssl` and `database` become `sslmode` and `dbname`. Raises `InvalidAddress`.
    """
    parameters: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        encoded_name, equals, encoded_value = part.partition("=")
        name = decode(encoded_name, "a parameter's name")
        if not _NAME.fullmatch(name) or not equals:
            raise InvalidAddress("has something else than name=value behind a ?, which in a password is %3F")
        if name not in _KNOWN:
            raise InvalidAddress(
                f"has the parameter {name}, which is not understood; a setting of the server has the form "
                f"options=-c%20name=value"
            )
        value = decode(encoded_value, name)
        if name == "ssl":
            name, value = "sslmode", _SSL_ALIASES.get(value, value)
        elif name == "database":
            name = "dbname"
        if parameters.get(name, value) != value:
            raise InvalidAddress(f"has the parameter {name} twice")
        if value:
            _require_valid(name, value)
            parameters[name] = value
    return parameters


def _require_valid(name: str, value: str) -> None:
    choices = _CHOICES.get(name) or _NOT_OFFERED.get(name)
    if choices and value not in choices:
        alternative = _ALTERNATIVES.get(name, "")
        raise InvalidAddress(f"has a value for {name} that is none of {', '.join(choices)}{alternative}")
    if name == "connect_timeout" and not (value.isascii() and value.isdigit()):
        raise InvalidAddress("has a connect_timeout that is not a whole number of seconds")
    if name in _FILES and value != "system" and not os.access(value, os.R_OK):
        raise InvalidAddress(f"names a file for {name} that cannot be read")


def require_usable_tls(parameters: Mapping[str, str]) -> None:
    """Also reads the files with certificates and keys. Raises `InvalidAddress`."""
    root, mode = parameters.get("sslrootcert"), parameters.get("sslmode")
    if root == "system" and mode != "verify-full":
        raise InvalidAddress("has sslrootcert=system, which needs sslmode=verify-full")
    if parameters.get("sslnegotiation") == "direct" and mode not in ("require", "verify-ca", "verify-full"):
        raise InvalidAddress("has sslnegotiation=direct, which needs sslmode=require or stronger")
    if mode in ("verify-ca", "verify-full") and root is None and not _has_default_root():
        raise InvalidAddress(f"has sslmode={mode}, which needs sslrootcert, the authority's certificate (or system)")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        for authorities in filter(None, (root if root != "system" else None, parameters.get("sslcrl"))):
            context.load_verify_locations(authorities)
        if "sslkey" in parameters:  # otherwise libpq's default file may contain the key
            _load_client_certificate(context, parameters)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        raise InvalidAddress(
            f"names files for TLS that cannot be used: {getattr(error, 'reason', None) or error}"
        ) from None


def context_with_system_authorities(parameters: Mapping[str, str]) -> ssl.SSLContext:
    """For sslmode=verify-full with sslrootcert=system, the authorities that this machine trusts."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    _load_client_certificate(context, parameters)
    return context


def _has_default_root() -> bool:
    return "PGSSLROOTCERT" in os.environ or Path("~/.postgresql/root.crt").expanduser().exists()


def _load_client_certificate(context: ssl.SSLContext, parameters: Mapping[str, str]) -> None:
    if "sslcert" in parameters:
        password = parameters.get("sslpassword", "")
        context.load_cert_chain(parameters["sslcert"], parameters.get("sslkey"), lambda: password)
