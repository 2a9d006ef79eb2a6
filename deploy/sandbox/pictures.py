"""The pictures of the README, taken while the demo plays: `make pictures`.

The phone while the rollback's effect is measured, the desk once it has recovered. Needs what
`make test` needs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

TREE = Path(__file__).resolve().parents[2]
SANDBOX = TREE / ".demo" / "sandbox"
PICTURES = TREE / "deploy" / "pictures"
MOMENTS = {
    "rollback finished": ("phone", 390, 844, 5.0),
    "recovery verified": ("desk", 1280, 1280, 1.0),
}
"""A stage of the demo → (picture, width and height in pixels, seconds to wait after it)."""


_STILL = """() => document.querySelector("#chart img")?.naturalHeight > 0
  && document.getAnimations().every(one => one.playState == "finished")"""
"""The chart is drawn, and nothing that has just changed is coloured any more."""


def take(browser: Browser, name: str, width: int, height: int, wait: float) -> None:
    """One picture of the newest incident's page."""
    called = json.loads((SANDBOX / "phone.jsonl").read_text().splitlines()[0])
    url = urlsplit(called["link"])
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=2 if width < 500 else 1
    )
    page = context.new_page()
    page.goto(f"{url.scheme}://{url.netloc}/login")
    page.get_by_label("Your password or token").fill((SANDBOX / "ada.token").read_text().strip())
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="success rate").first.click()
    page.locator("#chart img").wait_for()
    page.wait_for_timeout(wait * 1000)
    page.wait_for_function(_STILL)
    page.screenshot(path=PICTURES / f"incident-{name}.png")
    context.close()


def play(**asked: str) -> subprocess.Popen[str]:
    """`make demo`, with what is asked of it."""
    return subprocess.Popen(  # noqa: S603 (the argv is ours)
        [sys.executable, str(TREE / "deploy/sandbox/demo.py")],
        cwd=TREE,
        env={**os.environ, **asked},
        stdout=subprocess.PIPE,
        text=True,
    )


def main() -> int:
    """Play the demo, take the pictures on the way, and stop what it leaves running."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    chromium = os.environ.get("CHROMIUM_BIN") or next(filter(None, found), None)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    demo = play(KEEP="1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        for line in demo.stdout or ():
            print(line, end="")
            for stage, moment in MOMENTS.items():
                if f"✓ {stage}" in line:
                    take(browser, *moment)
        browser.close()
    play(STOP="1").communicate()
    return demo.wait()


if __name__ == "__main__":
    sys.exit(main())
