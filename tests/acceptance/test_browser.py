"""The pages in a real browser: an incident steered by clicking alone, on a phone, live."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser

from tests.acceptance.browsing import PHONE, Window, a_browser, a_window
from tests.acceptance.mendable_shop import BO, MendableShop, a_mendable_shop
from tests.acceptance.running import TOKEN, Daemon


@pytest.fixture
async def shop(tmp_path: Path, make_daemon: Callable[..., Daemon]) -> AsyncIterator[MendableShop]:
    async with a_mendable_shop(tmp_path, make_daemon) as found:
        yield found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as found:
        yield found


async def test_a_whole_incident_is_steered_by_clicking_on_a_phone(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    ada = await a_window(browser, shop.daemon.url, TOKEN, viewport=PHONE)
    await ada.opens("/")
    await ada.sees("Nothing is open. All quiet.")
    await shop.breaks(http)
    await ada.sees("99.5 %")  # the list is live
    await ada.is_sound()
    await ada.page.get_by_role("link", name="success rate").click()
    await ada.sees("waiting for the Commander to decide on step 1")
    await ada.sees("needs approval")
    await ada.is_sound()
    await ada.presses("I am on it: take command")
    await ada.sees("You are on it.")
    await ada.page.locator("#propose > summary").click()
    await ada.presses("Skip: step 1", "#plan")
    await ada.sees("waiting for the Commander to decide on step 2")
    # The draft tells of it too, and is not made anew until something else happens.
    draft = ada.page.locator("#updates textarea", has_text="step 2 waits")
    await draft.fill(await draft.input_value() + "\nThank you for waiting.")
    await ada.presses("Send", "#updates")
    await ada.sees("The update goes out now.")
    await ada.sees("dry run passed")  # what is approved was tried
    await ada.sees("Risk: ")
    async with ada.page.expect_navigation(wait_until="domcontentloaded"):
        await ada.page.get_by_role("button", name="Approve step 2: run ./mend again").click()
    await ada.sees("watching for a relapse")  # by itself: the page is live
    await ada.sees("recovered")
    assert (shop.folder / "mended").exists()
    await ada.page.get_by_label("A note for the timeline").fill("it was the cache")
    await ada.presses("Note it")
    await ada.sees("it was the cache")
    await ada.page.locator("#more").evaluate("one => one.open = true")
    await ada.sees("it is written to")
    await ada.is_sound()
    named = "The review, to print or to keep"
    await ada.page.locator("#review").get_by_role("link", name=named).click()
    await ada.sees("Thank you for waiting.")
    await ada.opens("/")
    await ada.sees("Nothing is open. All quiet.")


async def test_without_javascript_everything_works_all_the_same(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    ada = await a_window(browser, shop.daemon.url, TOKEN, java_script_enabled=False)
    await shop.breaks(http)
    await ada.opens("/")
    while not await ada.page.get_by_text("99.5 %").count():
        await ada.opens("/")
    await ada.page.locator("article button").click()
    await ada.sees("You are on it.")
    await ada.presses("■ Stop the automation")
    await ada.sees("automation is paused by ada")
    await ada.presses("Let the automation go on")
    await ada.page.locator("summary", has_text="Freeze automation").click()
    await ada.page.locator("#freeze-reason").fill("the move")
    await ada.presses("Freeze")
    await ada.sees("Automation is frozen (global)")
    await ada.presses("Thaw")
    assert not await ada.page.get_by_text("Automation is frozen").count()
    async with ada.page.expect_navigation(wait_until="domcontentloaded"):
        await ada.page.get_by_role("button", name="Approve step 1").click()
    await ada.sees("Approved.")
    assert ada.troubles == []


async def test_two_people_press_at_the_same_moment_and_both_see_the_truth(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    await shop.breaks(http)
    windows: list[Window] = []
    for token in (TOKEN, BO):
        window = await a_window(browser, shop.daemon.url, token)
        await window.opens("/")
        await window.page.get_by_role("link", name="shop").first.click()
        await window.sees("I am on it: take command")
        windows.append(window)
    # Whoever comes second may hear of the other just before: the button is called otherwise then.
    taken = re.compile("^I am (on it: take command|here too)$")
    await asyncio.gather(*(window.presses(taken) for window in windows))
    seen = []
    for window in windows:
        await (
            window.page.locator("#people", has_text="ada, bo")
            .or_(window.page.locator("#people", has_text="bo, ada"))
            .wait_for()
        )
        seen.append(await window.page.locator("#now dt:text('Commander') + dd").inner_text())
        assert window.troubles == []
    assert seen[0] == seen[1]
    assert seen[0] in {"ada", "bo"}


async def test_the_keyboard_alone_will_do(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    await shop.breaks(http)
    ada = await a_window(browser, shop.daemon.url, TOKEN)
    await ada.opens("/")
    await ada.page.get_by_role("link", name="shop").first.click()
    await ada.sees("I am on it: take command")
    await ada.page.keyboard.press("Tab")
    focused = "document.activeElement.textContent.trim()"
    assert await ada.page.evaluate(focused) == "To the content"
    for _ in range(20):
        await ada.page.keyboard.press("Tab")
        if await ada.page.evaluate(focused) == "I am on it: take command":
            break
    async with ada.page.expect_navigation():
        await ada.page.keyboard.press("Enter")
    await ada.sees("You are on it.")


async def test_what_somebody_is_writing_is_not_taken_away_by_news(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    await shop.breaks(http)
    ada, bo = [await a_window(browser, shop.daemon.url, token) for token in (TOKEN, BO)]
    for window in (ada, bo):
        await window.opens("/")
        await window.page.get_by_role("link", name="shop").first.click()
    await ada.presses("I am on it: take command")
    draft = ada.page.locator("#updates textarea").first
    await draft.fill("half a sent")
    await bo.page.get_by_label("A note for the timeline").fill("bo was here")
    await bo.presses("Note it")
    await ada.sees("bo was here")
    assert await draft.input_value() == "half a sent"


async def test_news_takes_neither_the_focus_nor_a_choice_nor_the_place_one_reads(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    await shop.breaks(http)
    ada, bo = [await a_window(browser, shop.daemon.url, token) for token in (TOKEN, BO)]
    for window in (ada, bo):
        await window.opens("/")
        await window.page.get_by_role("link", name="shop").first.click()
        await window.sees("needs approval")
    await ada.page.locator("#roles summary").click()
    await ada.page.locator("#role").select_option("communicator")
    await ada.page.locator("#whole-timeline").evaluate("one => one.open = true")
    await ada.page.locator("#step-2").evaluate("one => one.open = true")
    veto = ada.page.get_by_role("button", name="Veto: step 2")
    await veto.focus()
    line = ada.page.locator("#timeline li", has_text="incident opened")
    await line.evaluate("one => one.scrollIntoView({block: 'center'})")
    before = await line.bounding_box()
    focused = "document.activeElement.ariaLabel ?? document.activeElement.outerHTML"
    assert await ada.page.evaluate(focused) == "Veto: step 2"
    await bo.presses("I am on it: take command")
    await bo.presses("Veto: step 1", "#plan")
    await ada.page.locator("#timeline", has_text="step 1 vetoed by bo").wait_for()
    assert await ada.page.evaluate(focused) == "Veto: step 2"
    assert await ada.page.locator("#role").input_value() == "communicator"
    assert await ada.page.locator("#roles").get_attribute("open") is not None
    after = await line.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 3
    await bo.presses("Veto: step 2", "#plan")
    await ada.page.locator("#timeline", has_text="step 2 vetoed by bo").wait_for()
    near = "document.activeElement.id || document.activeElement.outerHTML"  # its button is gone
    assert await ada.page.evaluate(near) == "plan"
    assert ada.troubles == []


async def test_a_login_that_ends_leaves_what_was_written_and_a_new_one_sends_it(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    await shop.breaks(http)
    ada, bo = [await a_window(browser, shop.daemon.url, token) for token in (TOKEN, BO)]
    for window in (ada, bo):
        await window.opens("/")
        await window.page.get_by_role("link", name="shop").first.click()
    note = ada.page.get_by_label("A note for the timeline")
    await note.fill("the disk is full")
    await ada.page.context.clear_cookies()
    await bo.presses("I am on it: take command")
    async with ada.page.expect_popup() as opened:
        await ada.page.get_by_role("link", name="Log in in another window").click()
    login = Window(await opened.value, shop.daemon.url)
    await login.page.get_by_label("Your password or token").fill(TOKEN)
    await login.presses("Log in")
    await ada.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")  # comes back
    await ada.page.locator("#ended").wait_for(state="hidden")
    assert await note.input_value() == "the disk is full"
    await ada.presses("Note it")
    await ada.page.locator("#timeline", has_text="the disk is full").wait_for()


async def test_a_hurried_thumb_does_each_thing_once(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    await shop.breaks(http)
    ada = await a_window(browser, shop.daemon.url, TOKEN, viewport=PHONE)
    await ada.opens("/")
    await ada.page.get_by_role("link", name="shop").first.click()
    await ada.page.get_by_label("A note for the timeline").fill("once is enough")
    async with ada.page.expect_navigation():
        await ada.page.get_by_role("button", name="Note it").dblclick()
    await ada.page.locator("#timeline", has_text="once is enough").wait_for()
    assert await ada.page.get_by_text("once is enough").count() == 1
    await ada.page.locator("#step-2").evaluate("one => one.open = true")
    veto = ada.page.get_by_role("button", name="Veto: step 2")
    await veto.scroll_into_view_if_needed()
    box = await veto.bounding_box()
    assert box is not None
    tap = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
    just_now = "tap => sessionStorage.setItem('tap', JSON.stringify([...tap, Date.now() + 1e5, 0]))"
    await ada.page.evaluate(just_now, tap)  # on the page before this one
    await ada.page.mouse.click(*tap)
    assert await ada.page.get_by_text("step 2 vetoed").count() == 0
    async with ada.page.expect_navigation():
        await ada.page.mouse.click(*tap)  # now it is meant
    await ada.page.locator("#plan", has_text="vetoed by ada").wait_for()


async def test_a_page_says_when_the_daemon_is_away_and_is_live_again_after_it(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession
) -> None:
    await shop.breaks(http)
    ada = await a_window(browser, shop.daemon.url, TOKEN)
    await ada.opens("/")
    await ada.page.get_by_role("link", name="shop").first.click()
    await ada.sees("needs approval")  # the page was renewed at least once, or is newer
    await ada.sees("live, as of")
    await ada.page.route("**/live?*", lambda route: route.fulfill(status=502))
    shop.daemon.stop()
    await ada.sees("no connection; trying again")
    banner = ada.page.get_by_role("alert").filter(has_text="No connection to Stopgap")
    await banner.wait_for()  # as loud as it is
