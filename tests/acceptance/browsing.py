"""A real Chromium that people of the tests look through, and what each of its pages must be."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
PATIENCE_MS = 120_000
CANDIDATES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
VIOLATIONS = ["violations"]
"""What axe tells; all that is in order too would be megabytes."""
WCAG = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": VIOLATIONS,
}
COLOURS = {
    "runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
    "resultTypes": VIOLATIONS,
}
"""The rules whose answers depend on the colour scheme."""


def chromium() -> str:
    """The path of the browser; `CHROMIUM_BIN` names another."""
    named = os.environ.get("CHROMIUM_BIN")
    found = named or next(filter(None, map(shutil.which, CANDIDATES)), None)
    assert found, "no Chromium here: apt-get install chromium, or CHROMIUM_BIN=/path/to/it"
    return found


@dataclass
class Window:
    """Somebody's window on one daemon, and everything that went wrong in it."""

    page: Page
    url: str
    troubles: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("request", self._asked)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))

    def _asked(self, request: Request) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.troubles.append(f"asks another host: {request.url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.troubles.append(f"console: {message.text}")

    async def opens(self, path: str) -> None:
        """Go to a page of the daemon."""
        await self.page.goto(self.url + path)

    async def presses(self, name: str | re.Pattern[str], within: str = "body") -> None:
        """Press the button that is called so, and wait for the page after it."""
        button = self.page.locator(within).get_by_role("button", name=name, exact=True).first
        async with self.page.expect_navigation(wait_until="domcontentloaded"):
            await button.click()

    async def sees(self, text: str) -> None:
        """Wait until it is there to be seen."""
        await self.page.get_by_text(text).first.wait_for()

    async def is_sound(self) -> None:
        """Nothing went wrong, nothing is cut off, and everybody can use it."""
        assert self.troubles == []
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(overflow) <= 0, f"{self.page.url} is wider than the screen"
        await self._passes(WCAG)

    async def is_sound_in_both_schemes(self) -> None:
        """In light as `is_sound`; in dark everybody can tell its colours too."""
        await self.is_sound()
        await self.page.emulate_media(color_scheme="dark")
        await self._passes(COLOURS)
        assert self.troubles == []
        await self.page.emulate_media(color_scheme="light")

    async def _passes(self, rules: dict[str, Any]) -> None:
        results = await Axe().run(self.page, options=rules)
        assert results.violations_count == 0, f"{self.page.url}: {results.generate_report()}"


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Chromium, without a screen."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


async def a_window(browser: Browser, url: str, token: str = "", **how: Any) -> Window:
    """A window of its own, as another person's computer; somebody logs in with that token."""
    context = await browser.new_context(viewport=how.pop("viewport", DESK), **how)
    window = Window(await context.new_page(), url)
    if token:
        await window.opens("/login")
        await window.page.get_by_label("Your password or token").fill(token)
        await window.presses("Log in")
    return window
