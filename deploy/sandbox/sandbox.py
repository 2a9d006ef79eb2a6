"""The sandbox: a folder, and in it a shop, its customers, its monitoring, a phone, the daemon."""

from __future__ import annotations

import asyncio
import json
import secrets
import shlex
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, TypeVar

import aiohttp
import monitoring
from processes import Processes, free_ports, program

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
LOOK_EVERY = 0.25
PATIENCE = 240.0
"""Seconds in which whatever is waited for must have come: the longest, an alert of vmalert 1.79,
takes 45, for that reads what was 30 s ago, and a slow machine takes a few times as long."""
PARTS = ("shop", "prometheus", "vmalert", "alertmanager", "phone", "stopgap", "stopgap-b")

T = TypeVar("T")


class NotInTime(Exception):
    """Something that was waited for did not come."""


class CommandFailed(Exception):
    """One of the sandbox's commands ended badly; the text is what it said."""


class Sandbox:
    """Everything of one run. Use `prepare`, then `start`; `processes.stop` ends it."""

    def __init__(self, folder: Path, http: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.http = http
        self.processes = Processes(folder)
        self.address = dict(
            zip(PARTS, (f"127.0.0.1:{port}" for port in free_ports(len(PARTS))), strict=True)
        )
        self.tokens = {name: secrets.token_urlsafe(18) for name in ("ada", "bo", "webhook")}
        self.rings = folder / "phone.jsonl"
        self.front = "stopgap"
        """The daemon that is asked."""
        self.more: dict[str, str] = {}
        """What a story sets in the daemon's environment besides."""

    def url(self, part: str) -> str:
        """Where that part listens."""
        return f"http://{self.address[part]}"

    @property
    def environment(self) -> dict[str, str]:
        """What the daemon and its command line need to know of this sandbox."""
        return {
            "PYTHONPATH": str(TREE),
            "STOPGAP_LISTEN": self.address[self.front],
            "STOPGAP_EXTERNAL_URL": self.url(self.front),
            "STOPGAP_PROMETHEUS__URL": self.url("prometheus"),
            "STOPGAP_ALERTMANAGER__URL": self.url("alertmanager"),
            "STOPGAP_WEBHOOK_TOKEN": self.tokens["webhook"],
            "STOPGAP_ADA_TOKEN": self.tokens["ada"],
            "STOPGAP_BO_TOKEN": self.tokens["bo"],
            "STOPGAP_ADA_PAGER": f"{self.url('phone')}/page",
            "STOPGAP_BO_PAGER": f"{self.url('phone')}/page",
            **self.more,
        }

    # ── setting up ───────────────────────────────────────────────────────────────────────────

    def prepare(self) -> None:
        """Lay out the folder: the shop with both releases, v1 live; the rules; the settings."""
        shop = self.folder / "shop"
        for release in (HERE / "releases").iterdir():
            built = shop / "releases" / release.name
            built.mkdir(parents=True)
            shutil.copy(release / "checkout.py", built)
            shutil.copy(HERE / "shop.py", built)
        (shop / "current").symlink_to(Path("releases") / "v1")
        shutil.copytree(TREE / "rules", self.folder / "rules")
        for name in ("stopgap.yaml", "alerts.yml"):
            shutil.copy(HERE / name, self.folder)
        addresses = {f"{part}_address": address for part, address in self.address.items()}
        for name in ("prometheus.yml", "alertmanager.yml"):
            text = Template((HERE / name).read_text()).substitute(addresses)
            (self.folder / name).write_text(text)
        for name, secret in self.tokens.items():
            token = self.folder / f"{name}.token"
            token.touch(mode=0o600)
            token.write_text(secret)
        self._write_command("shopctl")  # for the daemon
        self._write_command("deploy")

    def amend(self, name: str, old: str, new: str) -> None:
        """Change a text in a file of the folder; it must be there."""
        path = self.folder / name
        text = path.read_text()
        if old not in text:
            raise ValueError(f"{name} has no {old!r}")
        path.write_text(text.replace(old, new))

    def link(self, release: str) -> None:
        """Make that release the current one, in one switch and without a restart."""
        shop = self.folder / "shop"
        fresh = shop / "current.fresh"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(Path("releases") / release)
        fresh.replace(shop / "current")

    def _write_command(self, name: str) -> None:
        """Make `<name>.py` a command of the folder: ./<name>."""
        path = self.folder / name
        command = shlex.join([sys.executable, str(HERE / f"{name}.py")])
        path.write_text(f'#!/bin/sh\ncd "$(dirname "$0")" && exec {command} "$@"\n')
        path.chmod(0o755)

    async def start(self) -> None:
        """Start all but the daemon, and wait until each part answers."""
        port = {part: address.rpartition(":")[2] for part, address in self.address.items()}
        start, python = self.processes.start, sys.executable
        start("shop", [python, HERE / "supervise.py", "shop"], {"SHOP_PORT": port["shop"]})
        start("phone", [python, HERE / "phone.py", port["phone"], self.rings.name], {})
        start("load", [python, HERE / "load.py", self.url("shop")], {})
        for name, argv in monitoring.commands(monitoring.chosen(), self.address).items():
            start(name, argv, {})
        start(
            "alertmanager",
            [
                program("ALERTMANAGER_BIN", "prometheus-alertmanager", "alertmanager"),
                "--config.file=alertmanager.yml",
                "--storage.path=alertmanager.data",
                f"--web.listen-address={self.address['alertmanager']}",
                f"--web.external-url={self.url('alertmanager')}",
                "--cluster.listen-address=",
            ],
            {},
        )
        for part in ("shop", "prometheus", "alertmanager"):
            await self.until(f"{part} to answer", partial(self.answers, part))

    async def start_daemon(
        self, name: str = "stopgap", folder: Path | None = None, own: Mapping[str, str] = {}
    ) -> None:
        """Start a daemon, and wait until it takes alerts; `own` is what it alone is told."""
        argv = [sys.executable, "-m", "daemon", "run", "--config", "stopgap.yaml"]
        self.processes.start(name, argv, {**self.environment, **own}, folder)
        await self.until(f"{name} to be ready", partial(self.answers, name))

    # ── commands ─────────────────────────────────────────────────────────────────────────────

    async def stopgap(self, *arguments: str) -> str:
        """Run the command `stopgap` in the folder. Raises CommandFailed."""
        name = f"stopgap {' '.join(arguments)}"
        return await self._command(name, [sys.executable, "-m", "daemon", *arguments])

    async def deploy(self, release: str) -> str:
        """Deploy a release of the shop. Raises CommandFailed."""
        return await self._command(f"deploy {release}", ["./deploy", release])

    async def command(self, *argv: str) -> str:
        """Run a command of the folder. Raises CommandFailed."""
        return await self._command(" ".join(argv), list(argv))

    async def _command(self, name: str, argv: list[str]) -> str:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=self.folder,
            env={**self.processes.environment(), **self.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        text = output.decode(errors="replace").strip()
        if process.returncode:
            raise CommandFailed(f"`{name}` ended with {process.returncode}:\n{text}")
        return text

    # ── looking ──────────────────────────────────────────────────────────────────────────────

    async def until(self, what: str, look: Callable[[], Awaitable[T | None]]) -> T:
        """Look until `look` gives something true. Raises NotInTime, Died or PortTaken."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while loop.time() < deadline:
            self.processes.check()
            try:
                if found := await look():
                    return found
            except (aiohttp.ClientError, TimeoutError):
                pass  # not there yet, or just being restarted
            await asyncio.sleep(LOOK_EVERY)
        raise NotInTime(f"waited {PATIENCE:.0f} s for {what}")

    async def answers(self, part: str) -> bool:
        """Whether that part says it is ready."""
        path = "/-/healthy" if part == "shop" else "/-/ready"
        async with self.http.get(f"{self.url(part)}{path}") as response:
            return response.status == 200

    async def running_release(self) -> str:
        """The release that answers the shop's customers."""
        async with self.http.get(f"{self.url('shop')}/-/healthy") as response:
            return str((await response.json())["version"])

    async def query(self, promql: str) -> float | None:
        """The value of a query that answers one series; None if it answers none."""
        url = f"{self.url('prometheus')}/api/v1/query"
        asked = {"query": promql, "nocache": "1"}  # or VictoriaMetrics answers as of 30 s ago
        async with self.http.get(url, params=asked) as response:
            result = (await response.json())["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    async def fired_at(self, alert: str) -> datetime | None:
        """When that alert began to fire in Prometheus; None if it does not fire."""
        firing = f'ALERTS{{alertname="{alert}",alertstate="firing"}}'
        seconds = await self.query(f"min_over_time(timestamp({firing})[1m:1s])")
        return datetime.fromtimestamp(seconds, UTC) if seconds else None

    async def api(self, method: str, path: str, person: str = "ada") -> Any:
        """Ask the daemon's API as that person."""
        url = f"{self.url(self.front)}/api/v1/{path}"
        headers = {"Authorization": f"Bearer {self.tokens[person]}"}
        async with self.http.request(method, url, headers=headers) as response:
            response.raise_for_status()
            return await response.json()

    def pages(self) -> list[dict[str, Any]]:
        """The pages that rang the phone so far."""
        return _json_lines(self.rings)

    def shop_log(self, event: str) -> list[dict[str, Any]]:
        """What the shop's supervisor logged of that kind, oldest first."""
        log = self.folder / "shop" / "supervisor.log"
        return [line for line in _json_lines(log) if line["event"] == event]


def _json_lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    complete, _, _ = path.read_text().rpartition("\n")
    return [json.loads(line) for line in complete.splitlines()]
