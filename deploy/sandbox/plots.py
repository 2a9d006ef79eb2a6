"""The other stories of the sandbox: `make demo STORY=second|storm|conflict|freeze|drill`.

Each is a Story with another middle: what is laid out before, what happens after the deployment,
and what must be true of the world in the end.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from chaos import Chaos
from replicas import Replicas
from sandbox import HERE, CommandFailed
from story import Sighting, StageMissing, Story
from timeline import RULE, Entry

NEIGHBOURS = ("cart", "search", "login", "bank")


def _reason(reason: str, event: Entry) -> bool:
    return bool(event["reason"] == reason)


class Second(Story):
    """The deployment is innocent: rolling it back does not help, switching the feature off does."""

    ending_text = "the second alternative helped, and it alone has the credit"
    approved = (1, 2)

    def prepare(self) -> None:
        """v2 is live with its feature off; v3 is the same code; step 2 may run by itself."""
        shop = self.sandbox.folder / "shop"
        shutil.copytree(shop / "releases" / "v2", shop / "releases" / "v3")
        self.sandbox.link("v2")
        (shop / "features.json").write_text('{"loyalty": false}')
        automatic = ("    approval: commander\n", "    approval: automatic\n")
        self.sandbox.amend("rules/checkout.yaml", *automatic)

    async def middle(self) -> None:
        """The suspect is rolled back in vain; then the feature is switched off."""
        self.teller.heading("A deployment: v3. In the same minute marketing opens the loyalty club")
        self.teller.scene(await self.sandbox.deploy("v3"))
        self.teller.scene(await self.sandbox.command("./shopctl", "feature", "loyalty", "on"))
        await self.call()
        await self.stage("rollback started", self.at("StepStarted"))
        await self.stage("it did not help", self.at("StepVerified", self.unchanged))
        await self.stage("second alternative started", self.at("StepStarted", self.second))
        await self.stage("recovery verified", self.at("StepVerified", self.recovered))
        await self.stage("incident closed", self.at("IncidentClosed", self.closed_well))

    async def proof(self) -> None:
        """Both alternatives ran once, in order, and step 2 has the credit. Raises StageMissing."""
        await self.timeline.look()
        steps = [entry["event"]["step"] for entry in self.timeline.found("StepStarted")]
        credit = [entry["event"]["step"] for entry in self.timeline.found("Recovered")]
        if (steps, credit) != ([1, 2], [2]):
            raise StageMissing(f"steps {steps} ran, and {credit} got the credit")

    @staticmethod
    def unchanged(event: Entry) -> bool:
        """The first step changed nothing for the customers."""
        return (event["step"], event["verdict"]) == (1, "unchanged")

    @staticmethod
    def second(event: Entry) -> bool:
        """It is the second alternative."""
        return bool(event["step"] == 2)


class Storm(Story):
    """Five services break at once: everybody is called, and nothing starts by itself."""

    ending_text = "in the storm nothing was touched; one person's word ended it"

    def prepare(self) -> None:
        """Four more services are measured, which all stand on the shop."""
        lines = [
            f'      - targets: ["{self.sandbox.address["shop"]}"]\n'
            f"        labels: {{service: {name}}}\n"
            for name in NEIGHBOURS
        ]
        config = self.sandbox.folder / "prometheus.yml"
        config.write_text(config.read_text() + "".join(lines))

    async def middle(self) -> None:
        """All five alert; people are paged; the Commander decides."""
        await self.deployment()
        await self.call()
        await self.stage("five incidents, one call", self.one_call)
        await self.stage("held back by the storm", self.refused_everywhere)
        await self.untouched("v2")
        self.teller.heading("Ada looks: it is the one deployment. She says so, once")
        await self.sandbox.api("POST", "storm/ack")
        await self.sandbox.api("POST", f"incidents/{self.timeline.incident}/steps/1/approve")
        await self.stage("rollback started", self.at("StepStarted"))
        await self.stage("recovery verified", self.at("StepVerified", self.recovered))
        await self.stage("incident closed", self.at("IncidentClosed", self.closed_well))

    async def proof(self) -> None:
        """One rollback in all five incidents, hers by her word. Raises StageMissing."""
        acted = {
            incident: sum(entry["kind"] == "StepPrepared" for entry in timeline)
            for incident, timeline in (await self.timelines()).items()
        }
        if {i for i, count in acted.items() if count} != {self.timeline.incident}:
            raise StageMissing(f"in the storm these incidents acted, and how often: {acted}")
        await self.timeline.look()
        self.once("rollbacks on the timeline", len(self.timeline.found("StepPrepared")))

    async def timelines(self) -> Mapping[str, list[Entry]]:
        """The timelines of the services' incidents."""
        heads = (await self.sandbox.api("GET", "incidents"))["incidents"]
        found = {h["id"]: await self.sandbox.api("GET", f"incidents/{h['id']}") for h in heads}
        ours = {i: a for i, a in found.items() if a["incident"]["rule"] == RULE}
        return {incident: answer["timeline"] for incident, answer in ours.items()}

    async def rang(self) -> Sighting | None:
        """The phone rang for the storm, whichever of its incidents carries the page."""
        for page in self.sandbox.pages():
            if page["title"].startswith("Storm"):
                text = f"{page['person']} reads “{page['title']}”"
                return Sighting(datetime.fromisoformat(page["at"]), text)
        return None

    async def one_call(self) -> Sighting | None:
        """There are five incidents, and Ada was not called for each of them."""
        if len(await self.timelines()) < 5:
            return None
        calls = [page for page in self.sandbox.pages() if page["person"] == "ada"]
        if len(calls) >= 5:
            raise StageMissing(f"Ada was called {len(calls)} times for one storm")
        return Sighting(datetime.now(UTC), f"5 incidents, and Ada was called {len(calls)} times")

    async def refused_everywhere(self) -> Sighting | None:
        """Every one of them was refused because of the storm, with the numbers."""
        texts = [
            entry["text"]
            for timeline in (await self.timelines()).values()
            for entry in timeline
            if entry["kind"] == "StepRefused" and entry["event"]["reason"] == "storm"
        ]
        return Sighting(datetime.now(UTC), texts[0]) if len(texts) >= 5 else None


class Conflict(Story):
    """Somebody deploys in the very moment of the rollback: theirs stays, nothing is overwritten."""

    ending_text = "what the colleague deployed was not overwritten"

    def prepare(self) -> None:
        """v3 is the mend: v1's checkout."""
        releases = self.sandbox.folder / "shop" / "releases"
        shutil.copytree(releases / "v1", releases / "v3")

    async def middle(self) -> None:
        """As soon as the step has started, v3 is linked."""
        colleague = Colleague(self.sandbox, self.teller, "StepStarted")
        striking = asyncio.create_task(colleague.strike())
        await self.deployment()
        await self.call()
        await self.stage("rollback stopped", self.at("StepFinished", self.refused))
        await striking
        await self.stage("the Commander is told", self.at("ApprovalRequested", self.told))
        await self.stage("service is back", self.at("Recovered"))
        await self.stage("incident closed", self.at("IncidentClosed", self.closed_well))

    async def proof(self) -> None:
        """v3 is live, the daemon switched nothing, and claims no credit. Raises StageMissing."""
        await self.untouched("v3")
        credit = [entry["event"]["step"] for entry in self.timeline.found("Recovered")]
        if credit != [0]:
            raise StageMissing(f"the daemon claims the credit for step {credit}")

    @staticmethod
    def refused(event: Entry) -> bool:
        """The step saw that somebody else had been there."""
        outcome = event["outcome"]
        return (outcome["result"], outcome["reason"]) == ("refused", "changed_meanwhile")

    told = staticmethod(partial(_reason, "changed_meanwhile"))


class Colleague(Chaos):
    """Deploys v3 at the very event, in one switch of the link."""

    async def strike(self) -> None:
        """Wait for the moment, switch, then restart the shop."""
        try:
            await asyncio.to_thread(self._strike)
        finally:
            self._called_off.set()
        self.struck = True
        self.teller.scene(f"a colleague deploys v3 just then (at {self.kind})")
        self.teller.scene(await self.sandbox.command("./shopctl", "restart"))

    def act(self) -> None:
        """What is done at the moment."""
        self.sandbox.link("v3")


class Freeze(Story):
    """A freeze holds through kill -9 and a restart; the thaw lets the rollback go."""

    ending_text = (
        "the freeze held through the kill; after the thaw everything was done exactly once"
    )

    async def middle(self) -> None:
        """Frozen before the deployment, killed while frozen, thawed at last."""
        self.teller.heading("The service is frozen: a migration is under way")
        reason = ("a", "migration", "of", "the", "orders")
        self.teller.scene(await self.ask_stopgap("freeze", "--service", "shop", *reason))
        await self.deployment()
        await self.call()
        await self.stage("frozen", self.at("StepRefused", self.frozen))
        self.teller.scene("the daemon is killed (kill -9) and started again")
        self.sandbox.processes.doomed.add("stopgap")
        self.sandbox.processes.kill("stopgap")
        await self.sandbox.start_daemon()
        self.teller.scene(await self.ask_stopgap("freezes", "--json"))
        await self.untouched("v2")
        self.teller.scene(await self.ask_stopgap("thaw", "--service", "shop"))
        await self.recovery()

    async def proof(self) -> None:
        """One rollback, after the thaw. Raises StageMissing."""
        await self.exactly_once()

    frozen = staticmethod(partial(_reason, "frozen"))

    async def ask_stopgap(self, *arguments: str) -> str:
        """Ada's command line. Raises StageMissing."""
        token = self.sandbox.folder / "ada.token"
        remote = ("--url", self.sandbox.url("stopgap"), "--token-file", str(token))
        try:
            return await self.sandbox.stopgap(*arguments, *remote)
        except CommandFailed as error:
            raise StageMissing(f"stopgap {arguments[0]}: {error}") from None


class RedTeam(Story):
    """A drill: the daemon itself breaks the shop, and everything but the alert is real."""

    ending_text = "the drill was scored, and everything was done exactly once"
    run = ""

    def prepare(self) -> None:
        """The scenario, and what the settings allow it; Alertmanager tells nobody of the shop."""
        drills = self.sandbox.folder / "rules" / "drills"
        shutil.copy(HERE / "red-team.yaml", drills)
        allowed = "    - [./shopctl, restart]\n"
        self.sandbox.amend("stopgap.yaml", allowed, f"{allowed}    - [./deploy, v2]\n")
        settings = self.sandbox.folder / "stopgap.yaml"
        target = "\ndrills: {targets: {sandbox: {acts_on: [release:shop]}}}\n"
        settings.write_text(settings.read_text() + target)
        self.sandbox.amend("alertmanager.yml", "  receiver: stopgap\n", "  receiver: nobody\n")
        alertmanager = self.sandbox.folder / "alertmanager.yml"
        alertmanager.write_text(alertmanager.read_text() + "  - name: nobody\n")

    async def middle(self) -> None:
        """The fault, the incident that is a drill, the recovery, and the score."""
        self.teller.heading("A red team: the daemon deploys v2 itself")
        begun = await self.sandbox.api("POST", "drills/red-team/run")
        self.run = begun["run"]
        self.teller.scene(f"the drill begins: run {self.run}, with {', '.join(begun['blue'])}")
        await self.stage("deployment of v2", lambda: self.runs("v2"))
        await self.call()
        await self.recovery()
        await self.stage("the drill scored", self.scored)

    async def scored(self) -> Sighting | None:
        """The drill is over, and all that was expected of it was met."""
        found = await self.sandbox.api("GET", f"drill-runs/{self.run}")
        report = found["report"]
        if report["ending"] is None:
            return None
        missed = [one["name"] for one in report["criteria"] if not one["met"]]
        if report["ending"] != "finished" or missed:
            raise StageMissing(f"the drill {report['ending']}, and missed: {missed}")
        text = f"{report['points']} of {report['out_of']}"
        return Sighting(datetime.fromisoformat(report["ended_at"]), text)


PLOTS: Mapping[str, type[Story]] = {
    "": Story,
    "second": Second,
    "storm": Storm,
    "conflict": Conflict,
    "freeze": Freeze,
    "drill": RedTeam,
    "replicas": Replicas,
}
