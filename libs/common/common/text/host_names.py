"""Host names, IP addresses and port numbers as texts."""

import re
from ipaddress import ip_address

# Names inside a network, Docker's for example, may contain underscores.
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?!-)[\w-]{1,63}(?<!-)(?:\.(?!-)[\w-]{1,63}(?<!-))*\.?", re.ASCII)
_NUMBERS = re.compile(r"[\d.]+")


def parse_host(text: str) -> str:
    """A name, international ones in ASCII (IDNA), or an address; IPv6 may have brackets. Raises `ValueError`."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    try:
        name = text if text.isascii() else text.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _HOST_NAME.fullmatch(name) or _NUMBERS.fullmatch(name):
        raise ValueError("must be the name or the IP address of a machine, without a port")
    return name


def is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
