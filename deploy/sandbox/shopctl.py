"""Operate the shop: `shopctl restart` and `shopctl feature NAME on|off`.

Works on the folder `shop` of the current directory. `restart` ends with 0 only once the new
process answers from the release that `shop/current` leads to; else it says why not and ends
with 1. Wrong usage ends with 2.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

SHOP = Path("shop")
ANSWER_WITHIN = float(os.environ.get("SHOP_ANSWERS_WITHIN", "60"))
"""Seconds. A busy machine takes its time to start a process, and no more than that went wrong."""
LOOK_EVERY = 0.05


def restart() -> None:
    """Have the supervisor restart the shop, and wait until the new process answers."""
    try:
        before = json.loads((SHOP / "running.json").read_text())
        os.kill(before["supervisor"], signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError):
        sys.exit("shopctl: the shop's supervisor is not running; start it with supervise.py shop")
    deadline = time.monotonic() + ANSWER_WITHIN
    answer = None
    while time.monotonic() < deadline:
        wanted = (SHOP / "current").resolve().name
        answer = healthy(before["port"])
        if answer and answer["pid"] != before["shop"] and answer["version"] == wanted:
            print(f"shopctl: {wanted} is running as process {answer['pid']}")
            return
        time.sleep(LOOK_EVERY)
    state = (
        f"{answer['version']} answers as process {answer['pid']}" if answer else "nobody answers"
    )
    sys.exit(
        f"shopctl: no new process of {wanted} within {ANSWER_WITHIN:.0f} s ({state}); "
        "see shop/supervisor.log"
    )


def healthy(port: int) -> dict[str, Any] | None:
    """What the shop says of itself; None if it does not answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/-/healthy")
        answer: dict[str, Any] = json.load(connection.getresponse())
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer


def feature(name: str, *, on: bool) -> None:
    """Switch a feature of the shop on or off, at once and without a restart."""
    path = SHOP / "features.json"
    flags = json.loads(path.read_text()) if path.exists() else {}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({**flags, name: on}))
    fresh.replace(path)
    print(f"shopctl: the feature {name} is {'on' if on else 'off'}")


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="shopctl", description="Operate the sandbox's shop.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("restart", help="restart the shop from shop/current")
    switch = commands.add_parser("feature", help="switch a feature on or off")
    switch.add_argument("name")
    switch.add_argument("state", choices=["on", "off"])
    arguments = parser.parse_args()
    if arguments.command == "restart":
        restart()
    else:
        feature(arguments.name, on=arguments.state == "on")


if __name__ == "__main__":
    main()
