"""What a page is judged by: accessibility (axe-core), width, size and time."""

from dataclasses import dataclass

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

_WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], "resultTypes": ["violations"]}
# What differs between the colours and widths.
_LOOK = {"runOnly": ["color-contrast", "target-size", "scrollable-region-focusable"], "resultTypes": ["violations"]}


@dataclass(frozen=True)
class Judgement:
    path: str
    kilobytes: float
    milliseconds: float
    faults: list[str]


async def judge(page: Page, url: str, path: str, *, only_look: bool = False) -> Judgement:
    """`faults`: what axe calls serious or critical, a status other than 200, and a page wider than the window."""
    response = await page.goto(url + path)
    assert response is not None
    body = await response.body()
    timing = response.request.timing
    faults = [] if response.status == 200 else [f"status {response.status}"]
    results = await Axe().run(page, options=_LOOK if only_look else _WCAG)
    faults += [
        f"{each['id']} ({each['impact']}): {each['nodes'][0]['html'][:200]}"
        for each in results.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    if await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
        faults.append("wider than the window")
    return Judgement(path, len(body) / 1000, timing["responseEnd"] - timing["requestStart"], faults)
