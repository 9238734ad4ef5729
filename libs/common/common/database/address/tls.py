"""TLS of a database address: its parameters are checked at the start, not at the first connection."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from common.database.address.percent_encoding import InvalidAddress


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
