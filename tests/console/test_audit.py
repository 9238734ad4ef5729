"""The search of the audit trail."""

from common.access.auth import Role
from support.console.system import System
from support.example.orders import place


async def test_the_name_of_an_actor_leads_to_what_this_actor_did(whole_system: System) -> None:
    order = await place(whole_system.orders)
    browser = await whole_system.logged_in(Role.MANAGER)
    shown = await browser.open(f"/audit?service=orders&entity_id={order['id']}")
    (by,) = [each for each in shown.root.all("a") if "actor_id=" in each.attributes["href"]]
    assert by.text == "ops"

    found = await browser.open(by.attributes["href"])

    assert order["id"][-8:] in found.text
    assert "actor_id" not in found.text
