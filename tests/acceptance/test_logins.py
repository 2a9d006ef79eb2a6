"""Logins to the real daemon: they outlive it, and end when the roster says so."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import aiohttp

from tests.acceptance.browsing import PHONE, Window, a_browser
from tests.acceptance.running import ROSTER, TOKEN, Daemon, lay_out
from tests.acceptance.waiting import until

MakeDaemon = Callable[..., Daemon]


async def test_a_login_outlives_a_restart_but_not_its_person(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, not of a name
    async with aiohttp.ClientSession(cookie_jar=jar) as browser:

        async def me() -> int:
            async with browser.get(f"{daemon.url}/api/v1/me") as answer:
                return answer.status

        login = {"secret": TOKEN, "next": "/api/v1/me"}
        async with browser.post(f"{daemon.url}/login", data=login) as answer:
            assert (answer.status, (await answer.json())["me"]["person"]) == (200, "ada")
        daemon.stop(signal.SIGKILL)
        daemon.start()
        assert await me() == 200
        (tmp_path / "rules/roster.yaml").write_text(ROSTER.replace("ada", "bo"))
        (tmp_path / "rules/rule.yaml").unlink()
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGHUP)
        await until("the rules to be read", lambda: bool(daemon.logged("rules reloaded")), 10)
        assert await me() == 401
    assert TOKEN not in daemon.log.read_text()


async def test_somebody_logs_in_does_something_and_logs_out(
    tmp_path: Path, make_daemon: MakeDaemon
) -> None:
    daemon = make_daemon(lay_out(tmp_path)).start()
    async with a_browser() as browser:
        context = await browser.new_context(viewport=PHONE, color_scheme="dark")
        ada = Window(await context.new_page(), daemon.url)
        await ada.opens("/oncall")
        await ada.sees("Your password or token")
        await ada.is_sound()
        await ada.page.get_by_label("Your password or token").fill(TOKEN)
        await ada.presses("Log in")
        assert ada.page.url == f"{daemon.url}/oncall"
        await ada.page.get_by_text("Freeze automation").click()
        await ada.page.locator("#freeze-reason").fill("sale")
        await ada.presses("Freeze")
        await ada.sees("Automation is frozen")
        await ada.opens("/you")
        await ada.page.get_by_text("Make an API token").click()
        await ada.page.get_by_label("What it is for").fill("ci")
        await ada.page.get_by_label("changes: report changes").check()
        await ada.is_sound()
        await ada.presses("Make the token")
        await ada.sees("Copy it now")
        await ada.is_sound()
        await ada.presses("Log out")
        await ada.opens("/you")
        assert ada.page.url == f"{daemon.url}/login?next=%2Fyou"
