"""The page of API keys."""

import pytest
from common.access.auth import Role
from support.console.html import Element
from support.console.system import System

OWN = "This is the key with which you are logged in."


async def test_a_key_is_revoked_only_after_a_second_step_and_ones_own_is_named(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.OPS)
    created = await browser.press(await browser.open("/api-keys"), "Create", name="to be revoked", service="orders")
    (prefix,) = [each.text for each in created.root.all("code")]

    page = await browser.open("/api-keys?service=orders")

    def steps(element: Element) -> dict[str, str]:
        """What each step says that is opened before a key is revoked, by its button."""
        return {button.text: each.text for each in element.all("details") for button in each.all("button")}

    revoking = [each for each in page.buttons if each.startswith("Revoke")]
    assert set(revoking) <= set(steps(page.root))
    assert [button for button, text in steps(page.root).items() if OWN in text] == ["Revoke ops of orders"]
    shown = await browser.press(page, f"Revoke {prefix} of orders")
    assert f"The key {prefix} of orders is revoked" in shown.text


@pytest.mark.parametrize("service", ["", "billing"])
async def test_a_key_of_a_service_that_does_not_exist_is_not_created_at_orders(
    whole_system: System, service: str
) -> None:
    browser = await whole_system.logged_in(Role.OPS)
    name = f"for {service or 'nobody'}"

    shown = await browser.press(await browser.open("/api-keys"), "Create", name=name, service=service)

    assert (shown.status, shown.title) == (404, "Not found")
    assert name not in (await browser.open("/api-keys?service=orders")).text
