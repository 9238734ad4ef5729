"""The overview: its first sentence, the alerts that fire, the charts, and what a screen reader is told of them."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from common.access.auth import Role
from console.services import samples
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from support.console.browser import Browser, Shown, browser_of, console_of
from support.console.html import Element
from support.console.stage import Stage
from support.console.system import System
from support.gateway.raw_http import limits, raw_server
from support.waiting import eventually

ALERT = {
    "labels": {"alertname": "JobDead", "severity": "critical", "service": "refunds"},
    "annotations": {"summary": "2 jobs refund of refunds are dead", "runbook_url": "docs/operations.md#jobdead"},
}


def sentence(page: Shown) -> str:
    """What a screen reader is told when it changes."""
    (region,) = [each for each in page.root.all("div") if each.attributes.get("id") == "summary"]
    return region.text


def is_live(element: Element) -> bool:
    return element.attributes.get("role") in ("status", "alert") or "aria-live" in element.attributes


async def live(browser: Browser, shown: str) -> Shown:
    return Shown(await browser.client.get("/overview/live", params={"shown": shown}))


async def test_the_sentence_is_outside_of_what_is_polled_and_sent_again_only_when_it_differs(stage: Stage) -> None:
    await stage.scene.reset()
    for name in ("orders", "returns", "invoicing", "refunds"):
        await stage.scene.sql(name, "DELETE FROM poison")
    browser = await stage.system.logged_in(Role.OPS)
    page = await browser.open("/")
    (polled,) = [each for each in page.root.all("div") if "hx-get" in each.attributes]
    assert [each for each in polled.all() if is_live(each)] == []
    (field,) = [each for each in page.root.all("input") if each.attributes.get("name") == "shown"]
    before = field.attributes["value"]
    assert before == sentence(page)

    unchanged = await live(browser, before)
    assert [each for each in unchanged.root.all("div") if each.attributes.get("id") == "summary"] == []

    await stage.scene.poison("invoicing", "an order", "articurated.orders", "ValueError: no event")
    changed = await live(browser, before)
    assert "1 poison record" in sentence(changed)
    (region,) = [each for each in changed.root.all("div") if each.attributes.get("id") == "summary"]
    assert region.attributes["hx-swap-oob"] == "innerHTML"


async def test_the_sentence_names_everything_that_waits_for_an_operator(stage: Stage) -> None:
    await stage.scene.reset()
    order = await stage.scene.order("PAID", published=False)
    await stage.scene.park(order)
    await stage.scene.discrepancy("orders", order, "invoice_missing")
    browser = await stage.system.logged_in(Role.OPS)
    pause = "INSERT INTO paused_kinds (kind, reason, paused_by) VALUES ('refund-mail', 'a new mail server', 'eve')"
    await stage.scene.sql("refunds", pause)

    page = await browser.open("/")
    text = sentence(page)

    assert "1 kind of work is paused" in text
    assert "/kinds" in [each.attributes["href"] for each in page.root.all("a") if each.text == "paused"]
    assert "Everything works" not in text
    assert "parked event" in text
    assert "open discrepanc" in text


async def test_the_returns_that_wait_for_a_decision_are_shown_to_those_who_decide(stage: Stage) -> None:
    await stage.scene.reset()
    await stage.scene.returned()
    page = await (await stage.system.logged_in(Role.MANAGER)).open("/")
    assert re.search(r"\d+ returns? waits? for a decision ?, the oldest for", page.text)
    page = await (await stage.system.logged_in(Role.WAREHOUSE)).open("/")
    assert "for a decision" not in page.text


async def test_a_role_that_sees_no_status_is_told_so(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.WAREHOUSE)
    assert sentence(await browser.open("/")) == "Everything works, as far as your role may see."


@asynccontextmanager
async def serving(**answers: Any) -> AsyncIterator[str]:
    """A server with these pages: JSON, or text. Returns its address."""

    def page(content: Any) -> Any:
        async def answer(_request: Request) -> Response:
            return PlainTextResponse(content) if isinstance(content, str) else JSONResponse(content)

        return answer

    routes = [Route(f"/{path.replace('__', '/')}", page(content)) for path, content in answers.items()]
    async with raw_server(Starlette(routes=routes), limits(body_bytes=2**16)) as server:
        yield server.server.address


@asynccontextmanager
async def console_beside(system: System, **settings: Any) -> AsyncIterator[Browser]:
    """Another console before the same services, at which an operator is logged in."""
    urls = {f"{name}_url": server.server.address for name, server in system.servers.items()}
    async with console_of(**{**urls, **settings}) as console:
        browser = browser_of(console)
        await browser.log_in(Role.OPS)
        yield browser


@pytest.mark.parametrize("source", ["alertmanager", "prometheus"])
async def test_the_alerts_that_fire_are_shown(whole_system: System, source: str) -> None:
    pending = {**ALERT, "labels": {"alertname": "OutboxOld"}, "state": "pending", "activeAt": "2026-11-30T10:00:00Z"}
    firing = {**ALERT, "state": "firing", "activeAt": "2026-11-30T10:00:00Z"}
    answers: dict[str, Any] = {
        "api__v2__alerts": [{**ALERT, "startsAt": "2026-11-30T10:00:00Z"}],
        "api__v1__alerts": {"status": "success", "data": {"alerts": [firing, pending]}},
    }
    async with serving(**answers) as address, console_beside(whole_system, **{f"{source}_url": address}) as browser:
        page = await browser.open("/")

    assert "JobDead critical" in page.text
    assert "2 jobs refund of refunds are dead" in page.text
    assert "OutboxOld" not in page.text
    assert "1 alert fires" in sentence(page)


async def test_while_the_monitoring_does_not_answer_the_overview_says_so(whole_system: System) -> None:
    async with console_beside(whole_system, alertmanager_url="http://127.0.0.1:9") as browser:
        page = await browser.open("/")
    assert "The monitoring does not answer." in page.text
    assert "No alert fires." not in page.text
    assert "whether an alert fires is unknown" in sentence(page)


async def test_a_chart_shows_what_the_roles_count(whole_system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "SECONDS", 0.05)
    counted = 0

    async def metrics(_request: Request) -> Response:
        nonlocal counted
        counted += 1
        return PlainTextResponse(f'job_attempts_total{{kind="refund",outcome="succeeded"}} {counted}.0\n')

    async with raw_server(Starlette(routes=[Route("/metrics", metrics)]), limits(body_bytes=2**16)) as server:
        role = f"refunds-worker={server.server.address}"
        async with console_beside(whole_system, role_addresses=role) as browser:

            async def has_line() -> bool:
                page = await browser.open("/")
                (chart,) = [each for each in page.root.all("svg") if "jobs done" in each.attributes["aria-label"]]
                return bool(list(chart.all("polyline"))) and "now 0.0 per second" not in chart.attributes["aria-label"]

            await eventually(has_line)
