"""The client's address behind trusted proxies: `X-Forwarded-For` and `X-Forwarded-Proto` (ADR 35)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

# Entries that are read, from the right: more than any installation has proxies in a row.
MAX_HOPS = 50
_EVERYTHING = "0.0.0.0/0,::/0"
# An IPv6 address with a port has brackets. A zone (fe80::1%eth0) means nothing on another machine.
_ENTRY = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+)(?::[0-9]{1,5})?|([0-9A-Fa-f:.]+)")


class ForwardedClient:
    """ASGI middleware that sets the client of a request which came through trusted proxies.

    Each proxy appends the address that called it, so the list is read from the right. The first address that is not a
    trusted proxy is the client: what is left of it was sent by the client, and may be made up. An entry that is not an
    address ends the list in the same way; then the client is the proxy that appended it.
    """

    def __init__(self, app: Any, trusted_proxies: str) -> None:
        """`trusted_proxies` is the value of the setting."""
        self._app = app
        networks = (_EVERYTHING if trusted_proxies == "*" else trusted_proxies).split(",")
        self._networks = tuple(ip_network(each) for each in networks)
        self._is_trusted = lru_cache(maxsize=1024)(self._is_in_a_network)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        peer = scope["client"]
        if peer is not None and self._is_trusted(peer[0]):
            self._read(scope, peer[0])
        await self._app(scope, receive, send)

    def _read(self, scope: Any, peer: str) -> None:
        client = peer
        for entry in _last_entries(scope["headers"]):
            address = address_of(entry)
            if address is None:
                break
            client = address
            if not self._is_trusted(client):
                break
        if client != peer:
            scope["client"] = (client, 0)
        protocols = [value.strip() for name, value in scope["headers"] if name == b"x-forwarded-proto"]
        if protocols in ([b"http"], [b"https"]):
            scope["scheme"] = protocols[0].decode()

    def _is_in_a_network(self, text: str) -> bool:
        address = address_of(text)
        return address is not None and any(ip_address(address) in network for network in self._networks)


def address_of(entry: str) -> str | None:
    """The address in its usual notation, of `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`; of any
    other text None."""
    match = _ENTRY.fullmatch(entry.strip(" \t"))
    if match is None:
        return None
    try:
        address = ip_address(match[1] or match[2] or match[3])
    except ValueError:
        return None
    # ::ffff:192.0.2.1 is the IPv4 address, as a socket for both families shows it.
    return str(address.ipv4_mapped or address) if isinstance(address, IPv6Address) else str(address)


def _last_entries(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[str]:
    """From the right. Several header lines are one list (RFC 9110, 5.3)."""
    line = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
    return reversed(line.rsplit(",", MAX_HOPS)[-MAX_HOPS:])
