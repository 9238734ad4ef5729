"""Types of settings: validated when a process starts, and normalised to the form that their users expect."""

import re
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from common.database.address import is_port, parse_address

DEFAULT_KAFKA_PORT = 9092
# Of bearer tokens. All are asymmetric: nobody who can verify a token can make one.
SIGNING_ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
_URL_CHARACTERS = re.compile(r"[!-~]*")
# Names inside a network, Docker's for example, may contain underscores.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[\w-]{1,63}(?<!-)(?:\.(?!-)[\w-]{1,63}(?<!-))*\.?", re.ASCII)
_NUMBERS = re.compile(r"[\d.]+")


def _host(text: str) -> str:
    """A name, international ones in ASCII (IDNA), or an address; IPv6 may have brackets. Raises `ValueError`."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    with suppress(ValueError):
        return str(ip_address(bare))
    try:
        name = text if text.isascii() else text.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _HOST_NAME.fullmatch(name) or _NUMBERS.fullmatch(name):
        raise ValueError("must be the name or the IP address of a machine, without a port")
    return name


def parse_brokers(text: str) -> list[tuple[str, int]]:
    """`kafka-1:9092,[::1]:9093`; without a port, Kafka's default. Raises `ValueError`."""
    brokers = []
    for each in _items(text):
        scheme, separator, _ = each.partition("://")
        host, colon, port = each.rpartition(":")
        if not colon or each.endswith("]"):
            host, port = each, str(DEFAULT_KAFKA_PORT)
        if separator:
            raise ValueError(f"must be host:port, separated by commas, without {scheme}://")
        if ":" in host and not host.startswith("["):
            raise ValueError("must be host:port, separated by commas, with an IPv6 address in brackets")
        if not is_port(port):
            raise ValueError("must be host:port, separated by commas; a port is a number from 1 to 65535")
        brokers.append((_host(host), int(port)))
    if not brokers:
        raise ValueError("must be host:port, separated by commas")
    return brokers


def _brokers(text: str) -> str:
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in parse_brokers(text))


def _database_url(text: str) -> str:
    url = text.strip()
    parse_address(url)
    return url


def _networks(text: str) -> str:
    return "*" if text.strip() == "*" else ",".join(_network(each) for each in _items(text))


def _network(text: str) -> str:
    """Host bits in a network's address are an error: uvicorn would read it as a name, which nothing matches."""
    try:
        return str(ip_network(text) if "/" in text else ip_address(text))
    except ValueError as error:
        raise ValueError(f"must be IP addresses or networks, separated by commas: {error}") from None


def _web_address(text: str) -> str:
    """Without a slash at the end."""
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("must be a URL such as https://example.org:8443/path") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid or not text.isascii():
        raise ValueError("must be a URL such as https://example.org:8443/path")
    if "?" in text or "#" in text or "@" in parts.netloc or not _URL_CHARACTERS.fullmatch(text):
        raise ValueError("must be a URL without a login, a query (?), a fragment (#) and blanks")
    _host(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    return text.rstrip("/")


def _algorithms(text: str) -> str:
    names = list(_items(text))
    if not names or not SIGNING_ALGORITHMS.issuperset(names):
        raise ValueError(f"must be some of {', '.join(sorted(SIGNING_ALGORITHMS))}, separated by commas")
    return ",".join(names)


def _items(text: str) -> Iterable[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
Host = Annotated[str, AfterValidator(_host)]
Brokers = Annotated[str, AfterValidator(_brokers)]
Networks = Annotated[str, AfterValidator(_networks)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
SigningAlgorithms = Annotated[str, AfterValidator(_algorithms)]
