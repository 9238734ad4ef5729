"""Types of settings that name a server, an address, a network, a URL or a path: checked when a process starts, so that
a wrong one ends it with the variable's name, and kept in the one form that all who use it understand."""

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator

from common.database.address import parse_address
from common.text.email_address import CONTROL_CHARACTER, parse_email_address, parse_mailbox

DEFAULT_KAFKA_PORT = 9092
# Names inside of a network, Docker's for example, may have underscores.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[\w-]{1,63}(?<!-)(?:\.(?!-)[\w-]{1,63}(?<!-))*\.?", re.ASCII)
_NUMBERS = re.compile(r"[\d.]+")
_PATH_OR_NAME = re.compile(r"[!-~]*")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[^?#\s]*)?")


def _checked_database_url(text: str) -> str:
    url = text.strip()
    parse_address(url)
    return url


def _mailbox(text: str) -> str:
    parse_mailbox(text)
    return text


def _printed_address(text: str) -> str:
    parse_email_address(text)
    return text


def _line(text: str) -> str:
    if not text.strip() or CONTROL_CHARACTER.search(text):
        raise ValueError("must be one line of printable characters")
    return text


def _host(text: str) -> str:
    """A name or an address; IPv6 also in brackets, which are taken off."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    if text.isascii():
        name = text
    else:
        try:
            name = text.encode("idna").decode()
        except UnicodeError:
            name = ""
    if not _HOST_NAME.fullmatch(name) or _NUMBERS.fullmatch(name):
        raise ValueError("must be the name or the IP address of a machine, without a port")
    return name


def parse_brokers(text: str) -> list[tuple[str, int]]:
    """`kafka-1:9092,[::1]:9093`; without a port, Kafka's own. Raises `ValueError`."""
    brokers = []
    for each in _listed(text):
        scheme, separator, _ = each.partition("://")
        host, colon, port = each.rpartition(":")
        if not colon or each.endswith("]"):
            host, port = each, str(DEFAULT_KAFKA_PORT)
        if separator:
            raise ValueError(f"must be host:port, separated by commas, without {scheme}://")
        if ":" in host and not host.startswith("["):
            raise ValueError("must be host:port, separated by commas, with an IPv6 address in brackets")
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError("must be host:port, separated by commas; a port is a number from 1 to 65535")
        brokers.append((_host(host), int(port)))
    if not brokers:
        raise ValueError("must be host:port, separated by commas")
    return brokers


def _brokers(text: str) -> str:
    return ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in parse_brokers(text))


def _networks(text: str) -> str:
    """A network whose address has host bits would match nothing, and be taken for a name without a word."""
    if text.strip() == "*":
        return "*"
    return ",".join(str(_network(each)) for each in _listed(text))


def _network(text: str) -> object:
    try:
        return ip_network(text) if "/" in text else ip_address(text)
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
    if "?" in text or "#" in text or "@" in parts.netloc or not _PATH_OR_NAME.fullmatch(text):
        raise ValueError("must be a URL without a login, a query (?), a fragment (#) and blanks")
    _host(f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname)
    return text.rstrip("/")


def _folder(path: Path) -> Path:
    """It need not exist, but it has to be possible: roles that do not use it may not even be allowed to see it."""
    try:
        nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
        is_possible = nearest.is_dir()
    except PermissionError:
        return path
    except OSError as error:
        raise ValueError(f"must be a folder: {error.strerror}") from None
    if not is_possible:
        raise ValueError(f"must be a folder, or become one: {nearest} is a file")
    return path


def _bucket(url: str) -> str:
    if not _BUCKET.fullmatch(url):
        raise ValueError("must be s3://bucket or s3://bucket/prefix")
    return url


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError("must be the IANA name of a time zone, such as Europe/Paris or UTC") from None
    return name


def _listed(text: str) -> Iterable[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


DatabaseUrl = Annotated[str, AfterValidator(_checked_database_url)]
MailboxText = Annotated[str, AfterValidator(_mailbox)]
PrintedAddress = Annotated[str, AfterValidator(_printed_address)]
Line = Annotated[str, AfterValidator(_line)]
Host = Annotated[str, AfterValidator(_host)]
Brokers = Annotated[str, AfterValidator(_brokers)]
Networks = Annotated[str, AfterValidator(_networks)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
Folder = Annotated[Path, AfterValidator(_folder)]
BucketUrl = Annotated[str, AfterValidator(_bucket)]
TimeZoneName = Annotated[str, AfterValidator(_time_zone)]
