"""The address of a client behind proxies is that which the trusted proxies say, whatever the client sends."""

import pytest
from common.running.http.forwarded import MAX_HOPS, address_of
from support.gateway.raw_http import HOST, SETTINGS, EchoApplication, raw_server

PEER = "127.0.0.1"  # from which the tests connect
CLIENT = "203.0.113.7"


async def client_of(proxies: str, *header_lines: str) -> tuple[str, str]:
    """The client's address and the scheme that the application sees."""
    application = EchoApplication()
    settings = SETTINGS.model_copy(update={"trusted_proxies": proxies})
    head = "".join(f"{line}\r\n" for line in header_lines).encode("latin-1")
    async with raw_server(application, settings=settings) as server, await server.connect() as proxy:
        answer = await proxy.ask(b"GET / HTTP/1.1\r\n" + HOST + head + b"\r\n")
    assert answer.status == 200
    return application.scopes[0]["client"][0], application.scopes[0]["scheme"]


async def forwarded(proxies: str, *values: str) -> str:
    address, _ = await client_of(proxies, *(f"X-Forwarded-For: {value}" for value in values))
    return address


@pytest.mark.parametrize("proxies", ["", "192.0.2.1", "10.0.0.0/8,::1"])
async def test_the_header_of_a_caller_that_is_no_trusted_proxy_is_ignored(proxies: str) -> None:
    assert await forwarded(proxies, CLIENT) == PEER


@pytest.mark.parametrize("proxies", ["127.0.0.1", "127.0.0.0/8", "10.0.0.1,127.0.0.1", "*"])
async def test_the_entry_of_a_trusted_proxy_is_the_client(proxies: str) -> None:
    assert await forwarded(proxies, CLIENT) == CLIENT


async def test_several_trusted_proxies_in_a_row_lead_to_the_client_before_them() -> None:
    assert await forwarded("127.0.0.1,10.0.0.0/8,2001:db8::/32", f"{CLIENT}, 10.1.2.3, 2001:db8::5, 10.0.0.9") == CLIENT


async def test_several_header_lines_are_one_list() -> None:
    assert await forwarded("127.0.0.1,10.0.0.0/8", CLIENT, "10.0.0.1", "10.0.0.2,10.0.0.3") == CLIENT


async def test_what_the_client_itself_sent_is_left_of_its_address_and_ignored() -> None:
    made_up = "1.2.3.4, 10.0.0.1, unknown, <script>, ''; DROP TABLE audit"
    assert await forwarded("127.0.0.1,10.0.0.0/8", f"{made_up}, {CLIENT}") == CLIENT
    assert await forwarded("127.0.0.1,10.0.0.0/8", made_up, f"{CLIENT}, 10.0.0.1") == CLIENT


async def test_a_client_inside_a_trusted_network_is_the_first_of_the_list() -> None:
    assert await forwarded("127.0.0.1,10.0.0.0/8", "10.0.0.5, 10.0.0.6") == "10.0.0.5"


@pytest.mark.parametrize(
    "garbage",
    ["", " ", ",", "unknown", "_hidden", "localhost", "1.2.3", "1.2.3.4.5", "300.1.1.1", "0x7f.1", "127.1", "1.2.3.4:",
     "1.2.3.4:x", "1.2.3.4:123456", "[::1", "::1]", "[::1]:x", "[::1]x", ":::", "1::2::3", "fe80::1%eth0", "[1.2.3.4",
     "'1.2.3.4'", "for=1.2.3.4", "\xff", "x" * 5000],
)  # fmt: skip
async def test_an_entry_that_is_not_an_address_leaves_the_proxy_that_appended_it(garbage: str) -> None:
    assert address_of(garbage) is None
    assert await forwarded("127.0.0.1,10.0.0.0/8", garbage) == PEER
    assert await forwarded("127.0.0.1,10.0.0.0/8", f"{CLIENT}, {garbage}, 10.0.0.9") == "10.0.0.9"
    assert await forwarded("*", f"{CLIENT}, {garbage}") == PEER


@pytest.mark.parametrize(
    ("entry", "address"),
    [("203.0.113.7:49152", CLIENT), ("\t203.0.113.7 ", CLIENT), ("2001:DB8:0:0::7", "2001:db8::7"),
     ("[2001:db8::7]", "2001:db8::7"), ("[2001:db8::7]:443", "2001:db8::7"), ("::ffff:203.0.113.7", CLIENT),
     ("[::ffff:cb00:7107]:80", CLIENT)],
)  # fmt: skip
async def test_ports_brackets_and_notations_of_an_address_are_understood(entry: str, address: str) -> None:
    assert await forwarded("127.0.0.1", entry) == address


async def test_a_trusted_proxy_is_recognised_in_any_notation() -> None:
    assert await forwarded("127.0.0.1,2001:db8::1", f"{CLIENT}, [2001:DB8:0::1]:8080") == CLIENT
    assert await forwarded("127.0.0.1,10.0.0.1", f"{CLIENT}, ::ffff:10.0.0.1") == CLIENT


async def test_a_list_of_trusted_proxies_without_end_is_read_to_a_limit() -> None:
    assert await forwarded("*", ",".join(f"10.0.{n // 256}.{n % 256}" for n in range(5000))) == "10.0.19.86"
    assert 5000 - MAX_HOPS == 19 * 256 + 86


@pytest.mark.parametrize(
    ("proxies", "lines", "scheme"),
    [("127.0.0.1", ["https"], "https"), ("127.0.0.1", ["http"], "http"), ("", ["https"], "http"),
     ("127.0.0.1", ["ftp"], "http"), ("127.0.0.1", ["http", "https"], "http"), ("127.0.0.1", ["https, http"], "http")],
)  # fmt: skip
async def test_the_scheme_is_accepted_from_a_trusted_proxy_if_it_is_clear(
    proxies: str, lines: list[str], scheme: str
) -> None:
    assert (await client_of(proxies, *(f"X-Forwarded-Proto: {line}" for line in lines)))[1] == scheme
