"""The script of an open page in Chromium, fed with one page after the other, without a daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import permutations
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route

import daemon.web
from tests.acceptance.browsing import PATIENCE_MS, a_browser

URL = "http://stopgap.test"
SCRIPT = (Path(daemon.web.__file__).parent / "static" / "live.js").read_text()
STREAM = "retry: 600000\n\n"
"""It is open, tells nothing, ends, and is asked for again long after the test."""
BUTTON = '<form action="/veto" class="deed"><button aria-label="Veto: step 2">Veto</button></form>'
STEP = '<details id="step-2"><summary>why</summary>{}</details>'
PLANS = {
    "folded": STEP.format(f'<div class="deeds">{BUTTON}</div>'),
    "moved": f'<div class="deeds">{BUTTON}</div>' + STEP.format("<p>automatic</p>"),
    "shut off": STEP.format(BUTTON.replace("<button", "<button disabled")),
    "hidden": STEP.format(f'<div class="deeds" hidden>{BUTTON}</div>'),
    "gone": STEP.format("<p>vetoed by bo</p>"),
    "empty": "",
    "in words": f"All is vetoed. {STEP.format('<p>vetoed by bo</p>')}",
}
"""What a plan has come to: the button of its step may be anywhere, or nowhere."""
TAKES = {"folded", "moved"}
"""The plans with a button that takes the focus."""
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Until the browser has drawn, and has taken the focus from what cannot have it."""
FOCUSED = "document.activeElement.ariaLabel || document.activeElement.outerHTML.slice(0, 120)"
COMES_BACK = "document.dispatchEvent(new Event('visibilitychange'))"


class Pages:
    """What is served; each page has a number of its own in its title."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.number = 0
        self.plan = ""
        self.before = self.after = ""
        """Sections around the plan."""
        self.broken = 0
        """So many more times the page is not to be had."""

    async def serve(self, route: Route) -> None:
        """Answer for the daemon."""
        path = route.request.url.removeprefix(URL)
        if path == "/live":
            await route.fulfill(content_type="text/event-stream", body=STREAM)
        elif path == "/live.js":
            await route.fulfill(content_type="text/javascript", body=SCRIPT)
        elif self.broken:
            self.broken -= 1
            await route.fulfill(status=503)
        else:
            await route.fulfill(content_type="text/html", body=self._text())

    async def opens(self, plan: str) -> None:
        """A page that is opened anew."""
        self.plan = PLANS[plan]
        await self.page.goto(URL)

    async def renews(self, plan: str) -> None:
        """The open page becomes this one."""
        self.number += 1
        self.plan = PLANS[plan]
        await self.page.evaluate(COMES_BACK)
        await self.page.wait_for_function("n => document.title === n", arg=f"{self.number}")
        await self.page.evaluate(DRAWN)

    def _text(self) -> str:
        return (
            f"<!doctype html><title>{self.number}</title><main id=main>"
            '<p id="away" hidden><span id="away-since"></span></p>'
            '<section id="now" data-live data-events="/live"></section>'
            f'<div>{self.before}<section id="plan" data-live>{self.plan}</section>'
            f"{self.after}</div></main>"
            '<script src="/live.js"></script>'
        )


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as found:
        yield found


@pytest.fixture
async def pages(browser: Browser) -> Pages:
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    found = Pages(page)
    await page.route("**/*", found.serve)
    return found


async def test_no_order_of_news_takes_the_focus_away(pages: Pages) -> None:
    for order in permutations(PLANS, 2):
        await pages.opens("folded")
        await pages.page.locator("#step-2").evaluate("one => one.open = true")
        await pages.page.locator("button").focus()
        held = True
        for plan in order:
            await pages.renews(plan)
            focused = await pages.page.evaluate(FOCUSED)
            held = held and plan in TAKES
            assert focused.startswith("Veto: step 2" if held else '<section id="plan"'), order


async def test_sections_come_and_go_where_the_page_has_them(pages: Pages) -> None:
    words, last, more = (f'<section id="{name}" data-live>{name}</section>' for name in "wlm")
    sections = "[...document.querySelectorAll('[data-live]')].map(one => one.id)"
    await pages.opens("folded")
    for pages.before, pages.after, there in (
        (words, "", ["now", "w", "plan"]),
        (words, last + more, ["now", "w", "plan", "l", "m"]),
        ("", more, ["now", "plan", "m"]),
        ("", last + more, ["now", "plan", "l", "m"]),
        ("", "", ["now", "plan"]),
    ):
        await pages.renews("folded")
        assert await pages.page.evaluate(sections) == there


async def test_a_section_that_is_over_stays_while_somebody_writes_in_it(pages: Pages) -> None:
    pages.after = '<section id="l" data-live><form><input name="why"></form></section>'
    await pages.opens("folded")
    await pages.page.locator("input").fill("they know")
    pages.after = ""
    await pages.renews("moved")
    assert await pages.page.locator("input").input_value() == "they know"
    await pages.page.locator("input").fill("")
    await pages.page.locator("button").focus()
    await pages.renews("folded")
    assert await pages.page.locator("input").count() == 0


async def test_a_page_that_is_not_to_be_had_is_asked_for_again(pages: Pages) -> None:
    await pages.page.clock.install()
    await pages.opens("folded")
    away = pages.page.locator("#away")
    pages.broken, pages.number = 2, 1
    await pages.page.evaluate(COMES_BACK)
    await away.wait_for()
    while pages.broken:
        await pages.page.clock.run_for(1000)
    await pages.page.clock.run_for(10_000)
    await pages.page.wait_for_function("document.title === '1'")
    await away.wait_for(state="hidden")
