"""Every page in a real browser, on a phone and a desk, in light and in dark."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser

from tests.acceptance.browsing import DESK, PHONE, Window, a_browser, a_window
from tests.acceptance.mendable_shop import MendableShop, a_mendable_shop
from tests.acceptance.rich_incident import RichRig, enrich
from tests.acceptance.running import TOKEN, Daemon
from tests.contract.rig import ADA, BO, rigged

SCREENS = 3
"""So many screens of a phone hold all of an incident that does not wait behind "more"."""


@pytest.fixture
async def shop(tmp_path: Path, make_daemon: Callable[..., Daemon]) -> AsyncIterator[MendableShop]:
    async with a_mendable_shop(tmp_path, make_daemon) as found:
        yield found


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as found:
        yield found


async def within_three_screens(window: Window) -> None:
    """All that matters of the incident is before "more"."""
    more = await window.page.locator("#more").bounding_box()
    assert more is not None
    assert more["y"] <= SCREENS * PHONE["height"], "what matters is not within three screens"


async def test_an_incident_with_all_at_once_is_three_screens_to_each_who_is_called(
    browser: Browser,
) -> None:
    async with rigged(make=RichRig) as rig:
        await enrich(rig)
        url = str(rig.client.make_url("")).rstrip("/")
        ada = await a_window(browser, url, viewport=PHONE, extra_http_headers=ADA)
        for deeds in ((), [("ack", BO)], [("leave", BO), ("ack", ADA)]):
            for deed, who in deeds:
                await rig.does(deed, who)
            await ada.opens(f"/incidents/{rig.id}")
            for shown in ("1m before the onset", "#inc-1123", "Runbook", "Could help"):
                await ada.sees(shown)
            await within_three_screens(ada)
        await ada.sees("Approve step 1: v2 → v1 on shop, then restart")
        await ada.is_sound_in_both_schemes()
        document = await ada.page.get_by_role("link", name="the document").get_attribute("href")
        assert document is not None
        for path in (document, "/storm"):
            await ada.opens(path)
            await ada.is_sound_in_both_schemes()
        await ada.opens(await rig.calls("ada", page="r0.t0.ada.2"))
        await ada.is_sound_in_both_schemes()


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
async def test_every_page_fits_its_screen_and_is_for_everybody(
    shop: MendableShop, browser: Browser, http: aiohttp.ClientSession, viewport: dict[str, int]
) -> None:
    await shop.breaks(http)
    ada = await a_window(browser, shop.daemon.url, TOKEN, viewport=viewport, color_scheme="light")
    await ada.opens("/")
    await ada.sees("99.5 %")
    await ada.is_sound_in_both_schemes()
    await ada.page.get_by_role("link", name="shop").first.click()
    await ada.sees("needs approval")
    if viewport == PHONE:
        await within_three_screens(ada)
    await ada.page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
    await ada.is_sound_in_both_schemes()
    system = ("/rules", "/rules/observed", "/oncall", "/system", "/you", "/api/v1/docs", "/declare")
    for path in (*system, "/drills", "/follow-ups", "/figures", "/help", "/help/on-call"):
        await ada.opens(path)
        await ada.is_sound_in_both_schemes()
    ada.troubles.clear()
    await ada.opens("/nowhere")
    ada.troubles.clear()  # the browser calls a 404 an error, and it is one
    await ada.is_sound_in_both_schemes()
