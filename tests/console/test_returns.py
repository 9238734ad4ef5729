"""The page of a return: who opened it, and what a person has to choose."""

from uuid import uuid4

import httpx
import pytest
from common.access.auth import Role
from console.person import Credential, Person
from console.session.cookies import SealedCookies
from console.session.sessions import Sessions
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from support.console.browser import ORIGIN, SESSION_KEY, Browser, browser_of
from support.console.stage import Stage

OPENED = "You opened this return."


async def requested(stage: Stage) -> tuple[str, str]:
    """A return that the client has opened: its page, and the id of the client as an actor."""
    await stage.scene.reset()
    order = await stage.scene.returned()
    gateway = stage.scene.gateways["returns"]
    (row,) = (await gateway.get(f"/returns?order_id={order}")).json()["data"]
    history = (await gateway.get(f"/returns/{row['id']}/history?include=all")).json()["data"]
    opening = next(each for each in history if each["previous_state"] is None)
    return f"/returns/{row['id']}", opening["actor_id"]


def logged_in_as(stage: Stage, person: Person) -> Browser:
    """As the console logs in a person whom the provider has named."""
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    request = Request({**scope, "scheme": "http", "server": (httpx.URL(ORIGIN).host, 80), "client": None})
    response = Response()
    Sessions(SealedCookies(SecretStr(SESSION_KEY), None), 60).begin(request, response, person)
    name, _, value = response.headers["set-cookie"].partition(";")[0].partition("=")
    browser = browser_of(stage.system.console)
    browser.client.cookies.set(name, value)
    return browser


@pytest.mark.parametrize("is_opener", [True, False])
async def test_the_opener_is_known_by_the_actor_and_not_by_the_name(stage: Stage, *, is_opener: bool) -> None:
    """A person of the provider may have the name of a key, and a key another name than its person."""
    path, opener = await requested(stage)
    credential = Credential("key", "manager.the-secret-of-a-test")
    name, actor_id = ("Maria", opener) if is_opener else ("client", str(uuid4()))

    shown = await logged_in_as(stage, Person(name, Role.MANAGER, credential, actor_id=actor_id)).open(path)

    assert (OPENED in shown.text) == is_opener


async def test_of_a_key_the_opener_is_known_by_its_prefix(stage: Stage) -> None:
    path, _ = await requested(stage)
    credential = Credential("key", "manager.the-secret-of-a-test")

    shown = await logged_in_as(stage, Person("client", Role.MANAGER, credential)).open(path)

    assert OPENED in shown.text


async def test_a_return_is_rejected_only_with_a_reason_that_the_person_has_chosen(stage: Stage) -> None:
    path, _ = await requested(stage)
    browser = await stage.system.logged_in(Role.MANAGER)
    page = await browser.open(path)
    (choice,) = [each for each in page.root.all("select") if each.attributes["name"] == "rejection_reason"]
    assert "required" in choice.attributes
    assert page.form("Reject").fields["rejection_reason"] == ""

    refused = await browser.press(page, "Reject", notes="No.")
    assert refused.status == 422
    shown = await browser.press(refused, "Reject", rejection_reason="policy_violation")

    assert "is rejected." in shown.text
