"""Headless Chromium of the system, and its contexts: desktop, phone, dark mode, without JavaScript."""

import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, async_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MILLISECONDS = 15_000

CONTEXTS: Mapping[str, Mapping[str, Any]] = {
    "desktop": {"viewport": {"width": 1280, "height": 800}},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
    "phone_dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    "no_script": {"viewport": {"width": 1280, "height": 800}, "java_script_enabled": False},
}


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    # Root needs --no-sandbox; containers have a small /dev/shm.
    arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        await browser.close()
