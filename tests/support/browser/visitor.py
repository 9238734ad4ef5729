"""A person with a browser who visits the console of a running stack."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from local_stack.stack_json import StackDescription
from playwright.async_api import Browser, Locator, Page, expect
from support.browser.chromium import CONTEXTS, PATIENCE_MILLISECONDS

_MOST_TABS = 150
# Not of a table that can be scrolled by keyboard, whose text has those of its links.
_FOCUSED = """() => {
  const e = document.activeElement;
  if (!e?.matches("a, button, input, textarea, select, summary")) return "";
  return e.labels?.[0]?.innerText || e.innerText || e.value || "";
}"""


@dataclass(frozen=True)
class Visitor:
    """With `by_keyboard`, it uses no pointer: it finds what it presses by the key Tab."""

    page: Page
    url: str
    by_keyboard: bool = False

    async def log_in(self, key: str) -> None:
        await self.open("/login")
        await self.fill("API key", key)
        await self.press("Log in")
        await expect(self.page.get_by_role("button", name="Log out")).to_be_visible()

    async def open(self, path: str) -> None:
        response = await self.page.goto(self.url + path)
        assert response is not None
        assert response.status == 200, f"{path}: {response.status}"

    async def follow(self, link: str) -> None:
        await self._use(self.page.locator("main").get_by_role("link", name=link).first, link)

    async def press(self, button: str) -> None:
        await self._use(self.page.locator("main").get_by_role("button", name=button).first, button)

    async def fill(self, label: str, text: str) -> None:
        field = self.page.get_by_label(label, exact=True).first
        if self.by_keyboard:
            await self._tab_to(label)
            await self.page.keyboard.type(text)
        else:
            await field.fill(text)

    async def sees(self, text: str | re.Pattern[str]) -> None:
        await expect(self.page.locator("main").get_by_text(text).first).to_be_visible()

    @property
    def message(self) -> Locator:
        """The result of an action."""
        return self.page.locator("main").locator("[role=status], [role=alert]").first

    async def _use(self, target: Locator, text: str) -> None:
        await expect(target).to_be_visible()
        if self.by_keyboard:
            await self._tab_to(text)
            await self.page.keyboard.press("Enter")
        else:
            await target.click()

    async def _tab_to(self, text: str) -> None:
        for _ in range(_MOST_TABS):
            if text in await self.page.evaluate(_FOCUSED):
                return
            await self.page.keyboard.press("Tab")
        raise AssertionError(f"no focus on {text!r} after {_MOST_TABS} tabs")


@asynccontextmanager
async def visitor(
    browser: Browser, stack: StackDescription, role: str = "ops", context: str = "desktop", *, by_keyboard: bool = False
) -> AsyncIterator[Visitor]:
    opened = await browser.new_context(**CONTEXTS[context])
    opened.set_default_timeout(PATIENCE_MILLISECONDS)
    person = Visitor(await opened.new_page(), stack["console"]["url"], by_keyboard)
    await person.log_in(stack["api_keys"][role])
    yield person
    await opened.close()
