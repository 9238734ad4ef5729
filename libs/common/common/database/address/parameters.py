"""The parameters of a database address, after its `?`: which exist, and which values they may have."""

import os
import re

from common.database.address.percent_encoding import InvalidAddress, decode

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
