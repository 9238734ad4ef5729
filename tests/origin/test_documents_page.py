"""The interactive documents render without a network: the page and its files are all from the address that is shown."""

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from generators.http_tables import gateway as application
from support.gateway.origin import origin_of
from support.gateway.raw_http import HOST, RawServer, limits, raw_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Not a name of this machine: for 127.0.0.1 Swagger UI does less than for others.
NAME = "shop.example"
DOCUMENT = Path(__file__).parents[2] / "docs" / "api" / "openapi.yaml"


@pytest.fixture
async def front() -> AsyncIterator[RawServer]:
    """The origin before the gateway of orders, whose page needs no database."""
    async with (
        raw_server(application("orders"), limits(unsent_bytes=2**26)) as orders,
        origin_of(orders_url=orders.server.address, openapi_file=DOCUMENT) as front,
    ):
        yield front


async def read(front: RawServer, path: str) -> str:
    async with await front.connect(limit=2**24) as client:
        answer = await client.ask(f"GET {path} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
    assert answer.status == 200
    return answer.body.decode()


async def test_page_and_style_name_no_other_address(front: RawServer) -> None:
    page = await read(front, "/docs")
    addresses = re.findall(r"(?:src|href)=\"([^\"]+)\"|url: '([^']+)'", page)
    assert len(addresses) == 4
    assert all(
        address.startswith("/") and not address.startswith("//") for pair in addresses for address in pair if address
    )
    style = await read(front, "/static-offline-docs/swagger-ui.css")
    assert not re.findall(r"url\(\s*[\"']?(?:https?:)?//", style)


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_a_browser_without_a_network_shows_every_route_and_asks_no_other_address(
    front: RawServer, tmp_path: Path
) -> None:
    log = tmp_path / "net.json"
    process = await asyncio.create_subprocess_exec(
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        *(f"--log-net-log={log}", "--virtual-time-budget=60000", "--timeout=80000", "--dump-dom"),
        f"http://{NAME}:{front.port}/docs",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    dom = (await process.communicate())[0].decode()
    shown = set(re.findall(r'class="opblock-summary-path" data-path="([^"]+)"', dom))
    assert shown == yaml.safe_load(DOCUMENT.read_text())["paths"].keys()
    assert requested_by_the_page(json.loads(repaired(log.read_text()))) == {f"http://{NAME}:{front.port}"}


def requested_by_the_page(log: dict[str, Any]) -> set[str]:
    """The addresses of requests of the page, not of those that the browser makes for itself."""
    urls = {
        event["params"]["url"]
        for event in log["events"]
        if "initiator" in event.get("params", {}) and event["params"].get("initiator") != "not an origin"
        if "url" in event["params"]
    }
    return {"/".join(url.split("/")[:3]) for url in urls if url.startswith("http")}


def repaired(text: str) -> str:
    """The log of a browser that was ended lacks its last brackets."""
    try:
        json.loads(text)
    except ValueError:
        return text.rstrip().rstrip(",") + "]}"
    return text
