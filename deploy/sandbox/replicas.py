"""`make demo STORY=replicas`: two replicas on one PostgreSQL, of which one dies in mid-rollback.

Alertmanager posts to both. Whoever conducts the incident begins the rollback and is killed by
kill -9; the other takes it over when the lease has ended, finds out what was done, finishes it and
tells people, and nobody is called twice.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep

from chaos import LOOK_EVERY
from database import Database
from sandbox import HERE, Sandbox
from story import Sighting, StageMissing, Story
from telling import Teller

REPLICAS = ("stopgap", "stopgap-b")
"""The two, by the names of their processes, and of themselves."""
LEASE_SECONDS = 6
ANSWERS_SECONDS = 12
"""So long `shopctl restart` waits for the shop."""
RESTART_SECONDS = ANSWERS_SECONDS + 2
"""So long the rule waits for that. The survivor waits as long, and a lease, and a grace of 5 s;
after 30 s it would measure the problem anew, and start a second rollback."""
SHARED = ("rules", "reviews", "shop", "shopctl")
"""What both find in their folders; each has its own settings and its own files beside the store."""
STRIKES_AT = "StepPrepared"


class Replicas(Story):
    """The owner dies in mid-rollback, and the other brings the incident to its end."""

    ending_text = "one rollback, one page, two replicas, of which one was killed"

    def __init__(self, sandbox: Sandbox, teller: Teller, kill_at: str) -> None:
        super().__init__(sandbox, teller, "")
        self.strikes_at = kill_at or STRIKES_AT
        self.database = Database(sandbox.folder)
        self.killed = ""
        self.killed_at = 0.0
        sandbox.more["STOPGAP_STORE"] = self.database.url
        sandbox.more["STOPGAP_REPLICA__LEASE"] = f"{LEASE_SECONDS}s"
        sandbox.more["SHOP_ANSWERS_WITHIN"] = str(ANSWERS_SECONDS)

    def prepare(self) -> None:
        """The second replica has a folder of its own, and Alertmanager posts to both."""
        sandbox = self.sandbox
        self._restart_quickly(sandbox.folder / "rules" / "checkout.yaml")
        self.database.create()
        (sandbox.folder / "reviews").mkdir(exist_ok=True)
        second = self._folder(REPLICAS[1])
        second.mkdir()
        for name in SHARED:
            (second / name).symlink_to(sandbox.folder / name)
        shutil.copy(HERE / "stopgap.yaml", second)
        post = f"      - url: {sandbox.url(REPLICAS[0])}/api/v1/alerts\n"
        config = sandbox.folder / "alertmanager.yml"
        head, found, rest = config.read_text().partition(post)
        if not found:
            raise ValueError("alertmanager.yml does not post to the daemon")
        again = post.replace(sandbox.address[REPLICAS[0]], sandbox.address[REPLICAS[1]])
        config.write_text(head + post + rest + again + rest)

    def _restart_quickly(self, rules: Path) -> None:
        """The survivor looks at the shop once the dead one's restart can be at work no more."""
        restart = "      restart: [./shopctl, restart]"
        told = rules.read_text()
        if restart not in told:
            raise ValueError(f"{rules} restarts the shop in another way")
        timeout = f"      restart_timeout: {RESTART_SECONDS}s\n"
        rules.write_text(told.replace(restart, timeout + restart))

    async def start_daemons(self) -> None:
        """PostgreSQL, then both replicas on it."""
        sandbox = self.sandbox
        self.database.start(sandbox.processes)
        await sandbox.until("PostgreSQL to answer", self.database.answers)
        for name in REPLICAS:
            own = {
                "STOPGAP_LISTEN": sandbox.address[name],
                "STOPGAP_REPLICA__NAME": name,
            }
            await sandbox.start_daemon(name, self._folder(name), own)
        await self._show("Two replicas on one PostgreSQL")

    async def middle(self) -> None:
        """The owner is killed as soon as the rollback is prepared; the other goes on."""
        striking = asyncio.create_task(self._strike())
        try:
            await self.deployment()
            await self.stage("alert fired", self.fired)
            await self.stage("incident opened", self.at("IncidentOpened"))
            await self.stage("phone rang", self.rang)
            await self.stage("rollback started", self.at("StepStarted"))
            await self.sandbox.until("the owner to be killed", self._struck)
            self.teller.heading("The owner is dead; the other waits for the end of its lease")
            await self._show("While the lease lasts")
            await self.stage("taken over", self._taken_over)
        finally:
            striking.cancel()
        await self.stage("rollback finished", self.rolled_back)
        await self.stage("recovery verified", self.at("StepVerified", self.recovered))
        await self.stage("incident closed", self.at("IncidentClosed", self.closed_well))

    async def proof(self) -> None:
        """One rollback, and each call came once. Raises StageMissing."""
        await self._show("In the end")
        await self.timeline.look()
        self.once("rollbacks on the timeline", len(self.timeline.found("StepStarted")))
        self.once("outcomes on the timeline", len(self.timeline.found("StepFinished")))
        self.once("reviews on the timeline", len(self.timeline.found("ReviewWritten")))
        switches = self.sandbox.shop_log("switched")
        self.once("switches of shop/current after the deployment", len(switches) - 1)
        calls = Counter((page["incident"], page["page"]) for page in self.sandbox.pages())
        twice = [page for page, count in calls.items() if count > 1]
        if twice or len({incident for incident, _ in calls}) != 1:
            raise StageMissing(f"somebody was called twice: {twice or sorted(calls)}")
        first = [page for _, page in calls if page.startswith("r0.t0.")]
        self.once("first calls for the incident", len(first))
        self.teller.scene(await self.sandbox.stopgap("audit", "verify"))

    # ── the kill ─────────────────────────────────────────────────────────────────────────────

    async def _strike(self) -> None:
        """Kill the owner at the moment that its step is prepared: its intent is in the store, and
        the target is about to be changed."""
        owner = await asyncio.to_thread(self._wait_for_the_moment)
        if owner not in REPLICAS:
            raise StageMissing(f"the incident is conducted by {owner!r}, which is no replica")
        self.sandbox.processes.doomed.add(owner)
        self.sandbox.processes.kill(owner)
        self.killed_at = monotonic()
        (self.sandbox.front,) = set(REPLICAS) - {owner}
        self.killed = owner
        self.teller.scene(f"{owner}, which conducts the incident, was killed (kill -9)")

    def _wait_for_the_moment(self) -> str:
        """Who conducts the incident at that moment; empty if it does not come."""
        query = "SELECT owner FROM events JOIN heads USING (incident) WHERE events.kind = %s"
        until = monotonic() + 300
        with self.database.connected() as connection:
            while monotonic() < until:
                row = connection.execute(query, [self.strikes_at]).fetchone()
                if row is not None:
                    return str(row[0])
                sleep(LOOK_EVERY)
        return ""

    async def _struck(self) -> bool:
        return bool(self.killed)

    async def _taken_over(self) -> Sighting | None:
        """The incident is the survivor's."""
        with self.database.connected() as connection:
            query = "SELECT owner FROM heads WHERE incident = %s"
            row = connection.execute(query, [self.timeline.incident]).fetchone()
        if row is None or row[0] != self.sandbox.front:
            return None
        after = monotonic() - self.killed_at
        text = f"{self.sandbox.front} has it, {after:.1f} s after the kill"
        return Sighting(datetime.now(UTC), f"{text} (a lease is {LEASE_SECONDS} s)")

    async def _show(self, title: str) -> None:
        asked = ("replicas", "--url", self.sandbox.url(self.sandbox.front))
        told = await self.sandbox.stopgap(*asked, "--token-file", "ada.token")
        self.teller.plain(f"{title}: stopgap replicas", told)

    def _folder(self, name: str) -> Path:
        return self.sandbox.folder if name == REPLICAS[0] else self.sandbox.folder / name
