"""A browser without scripts that visits the console: cookies, redirects and forms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from common.access.auth import Role
from console.app import Console
from console.settings import ConsoleSettings
from support.console.html import Element, Form, forms_of, parse

ORIGIN = "http://console.example"
SESSION_KEY = "bm90IGEgc2VjcmV0OiB0aGUga2V5IG9mIGEgdGVzdC4="
# Nothing listens here.
CLOSED = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Shown:
    """A page as it was answered in the end."""

    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def path(self) -> str:
        return self.response.url.raw_path.decode()

    @property
    def root(self) -> Element:
        return parse(self.response.text)

    @property
    def text(self) -> str:
        (main,) = self.root.all("main")
        return main.text

    @property
    def title(self) -> str:
        (title,) = self.root.all("h1")
        return title.text

    @property
    def navigation(self) -> list[str]:
        return [link.text for nav in self.root.all("nav") for link in nav.all("a")]

    @property
    def buttons(self) -> list[str]:
        """Of the content."""
        (main,) = self.root.all("main")
        return [button for form in forms_of(main) for button in form.buttons]

    def form(self, button: str) -> Form:
        """The first form with this button."""
        for form in forms_of(self.root):
            if button in form.buttons:
                return form
        raise LookupError(f"no button {button!r} among {[form.buttons for form in forms_of(self.root)]}")


@dataclass(frozen=True)
class Browser:
    client: httpx.AsyncClient

    async def open(self, path: str, **headers: str) -> Shown:
        return Shown(await self.client.get(path, headers=headers))

    async def press(self, page: Shown, button: str, **entered: str) -> Shown:
        """Send the form of the button, with what the person entered."""
        form = page.form(button)
        content = {**form.fields, **entered}
        return Shown(await self.client.request(form.method.upper(), form.action, **_sent(form.method, content)))

    async def log_in(self, role: str, *, to: str = "/") -> Shown:
        """With the key of a role, as `support.gateway.application.serve` makes them, or with another key."""
        key = f"{role}.the-secret-of-a-test" if role in set(Role) else role
        page = await self.open("/login" if to == "/" else f"/login?next={to}")
        return await self.press(page, "Log in", api_key=key)


def _sent(method: str, content: dict[str, str]) -> dict[str, Any]:
    return {"params": content} if method == "get" else {"data": content, "headers": {"Origin": ORIGIN}}


def browser_of(console: Console, *, address: str = "192.0.2.7") -> Browser:
    transport = httpx.ASGITransport(console, client=(address, 50_000))
    return Browser(httpx.AsyncClient(transport=transport, base_url=ORIGIN, follow_redirects=True))


@asynccontextmanager
async def console_of(**changes: Any) -> AsyncIterator[Console]:
    """The console with these settings, and services that are down where the settings name none."""
    urls = {f"{name}_url": CLOSED for name in ("orders", "returns", "invoicing", "refunds")}
    console = Console(ConsoleSettings(**{"session_key": SESSION_KEY, **urls, **changes}))
    try:
        yield console
    finally:
        await console.close()
