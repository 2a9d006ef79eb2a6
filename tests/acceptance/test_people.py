"""A sev2 on the real daemon, with stand-ins of PagerDuty and Slack: from a page past a gap and a
dead pager to all four roles, an unacknowledge, a takeover, a kill, and the last word."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.acceptance.deliveries import alert, encoded
from tests.acceptance.prometheus_double import PrometheusDouble
from tests.acceptance.running import RULE, SETTINGS, Daemon, lay_out
from tests.acceptance.waiting import until
from tests.doubles.pagerduty import KEY, SIGNING, PagerDuty, user
from tests.doubles.slack import TOKEN as SLACK_TOKEN
from tests.doubles.slack import Slack

ROSTER = """
people:
  ada:
    name: Ada
    token: env:STOPGAP_ADA_TOKEN
    contact: [{pagerduty: env:STOPGAP_ADA_PD}]
    known_as: {pagerduty: PADA}
  bo: {name: Bo, contact: [{webhook: env:STOPGAP_DEAD}]}
  cy: {name: Cy, token: env:STOPGAP_CY_TOKEN, contact: [{slack: U0CY0000}]}
  ed: {name: Ed, token: env:STOPGAP_ED_TOKEN, contact: [{slack: U0ED0000}]}
  fay: {name: Fay, token: env:STOPGAP_FAY_TOKEN, contact: [{slack: U0FAY000}]}
teams:
  shop: {owners: [ada], lead: cy, experts: [ed], policy: shop}
schedules:
  night: {zone: UTC, layers: [{rotation: [cy], start: 2099-01-01}]}
policies:
  shop:
    tiers:
      - {notify: [night], wait: 5m}
      - {notify: [bo], wait: 5m}
      - {notify: [ada, fay], wait: 5m}
default_policy: shop
timing: {vacancy: 1s, answer: 1m}
channels: {room: {slack: C0ROOM00}, public: {slack: C0PUBLIC}}
audiences:
  responders: {channels: [room], send: automatic}
  customers: {channels: [public], wording: public}
"""
MORE = """
  severity: {sev1: 50%, sev2: 5%}
recover:
  - {action: run_command, with: {argv: [/bin/true, x], target: x}}
"""
HOOKED = """
pagerduty: {webhook_secret: env:STOPGAP_PD_HOOK}
slack: {token: env:STOPGAP_SLACK_BOT, signing_secret: env:STOPGAP_SLACK_HOOK}
commands: {allow: [[/bin/true, x]]}
"""
SECRETS = {
    "STOPGAP_ADA_PD": KEY,
    "STOPGAP_CY_TOKEN": "cy's own",
    "STOPGAP_ED_TOKEN": "ed's own",
    "STOPGAP_FAY_TOKEN": "fay's own",
    "STOPGAP_PD_HOOK": SIGNING,
    "STOPGAP_SLACK_BOT": SLACK_TOKEN,
    "STOPGAP_SLACK_HOOK": "taps are signed by this",
    "STOPGAP_DEAD": "http://127.0.0.1:9/bo-s-dead-pager",
}
TOKENS = {"ada": "ada's own", "cy": "cy's own", "ed": "ed's own", "fay": "fay's own"}


class Scene:
    """The daemon, its doubles, and the one incident."""

    def __init__(
        self, daemon: Daemon, pagerduty: PagerDuty, slack: Slack, http: aiohttp.ClientSession
    ) -> None:
        self.daemon = daemon
        self.pagerduty = pagerduty
        self.slack = slack
        self.http = http
        self.incident = ""

    def start(self) -> None:
        """Start the daemon, or start it again."""
        urls = {
            "STOPGAP_PAGERDUTY__URL": f"{self.pagerduty.url}/v2/enqueue",
            "STOPGAP_SLACK__URL": f"{self.slack.url}/api/",
        }
        self.daemon.start({**SECRETS, **urls})

    async def does(self, who: str, path: str, **body: Any) -> dict[str, Any]:
        """A person does something by the API; the incident as it is then."""
        url = f"{self.daemon.url}/api/v1/incidents/{self.incident}/{path}"
        headers = {"Authorization": f"Bearer {TOKENS[who]}"}
        async with self.http.post(url, json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return dict((await answer.json())["incident"])

    async def view(self) -> dict[str, Any]:
        """The incident as it stands."""
        url = f"{self.daemon.url}/api/v1/incidents/{self.incident}"
        async with self.http.get(url, headers={"Authorization": "Bearer ada's own"}) as answer:
            return dict((await answer.json())["incident"])

    async def pager_says(self, said: str, agent: dict[str, Any] | None, **more: Any) -> int:
        """PagerDuty's webhook; the status it is answered with."""
        headers, body = self.pagerduty.webhook(said, self.incident, agent, **more)
        url = f"{self.daemon.url}/api/v1/hooks/pagerduty"
        async with self.http.post(url, data=body, headers=headers) as answer:
            return answer.status

    def state(self) -> str:
        """What PagerDuty has the incident's own alert in."""
        return str(self.pagerduty.alerts.get(self.incident, {}).get("state", ""))

    def messages(self, channel: str) -> list[str]:
        """What Slack shows there now."""
        return [m["text"] for (to, _), m in self.slack.messages.items() if to == channel]

    def entries(self, kind: str, **fits: Any) -> list[Any]:
        """The journal's entries of a kind."""
        found = self.daemon.journal.entries(kind)
        return [x for x in found if all(x.event[k] == v for k, v in fits.items())]


@pytest.fixture
async def scene(
    tmp_path: Path, make_daemon: Callable[..., Daemon], http: aiohttp.ClientSession
) -> AsyncIterator[Scene]:
    """An incident is open and confirmed, and ada's PagerDuty rings."""
    async with (
        PrometheusDouble().serving() as prometheus,
        PagerDuty().serving() as pagerduty,
        Slack().serving() as slack,
    ):
        settings = SETTINGS.replace("http://127.0.0.1:9", prometheus.url) + HOOKED
        more = {"rules/roster.yaml": ROSTER}
        folder = lay_out(tmp_path, settings=settings, rules=RULE.rstrip() + MORE, more=more)
        scene = Scene(make_daemon(folder), pagerduty, slack, http)
        scene.start()
        prometheus.breaks("shop", ago=3)
        url = f"{scene.daemon.url}/api/v1/alerts"
        async with http.post(url, data=encoded(alert())) as answer:
            assert answer.status == 200
        await until("PagerDuty to ring", lambda: pagerduty.opened)
        scene.incident = pagerduty.opened[0]
        await until("the first update", lambda: scene.messages("C0ROOM00"))
        yield scene


async def test_a_sev2_with_all_four_roles(scene: Scene) -> None:
    called = [x.event["page"] for x in scene.entries("PageQueued", purpose="escalation")]
    assert called == ["r0.t1.bo", "r0.t2.ada", "r0.t2.fay"], "past the gap and the dead pager"
    assert scene.entries("PageFailed", page="r0.t1.bo", last=True)
    assert "(sev2)" in scene.messages("C0ROOM00")[0]

    assert await scene.pager_says("acknowledged", user("PADA"), signing="forged") == 401
    assert await scene.pager_says("acknowledged", user("PSTRANGER")) == 202
    assert await scene.pager_says("acknowledged", None) == 202
    assert (await scene.view())["commander"] == ""
    answers = await asyncio.gather(
        scene.pager_says("acknowledged", user("PADA"), event_id="one"),
        scene.pager_says("acknowledged", user("PADA"), event_id="one"),
        scene.does("fay", "ack"),
    )
    assert answers[:2] == [202, 202]
    assert len(scene.entries("CommanderAppointed")) == 1
    await until("PagerDuty to be told", lambda: scene.state() == "acknowledged")

    if (await scene.view())["commander"] == "fay":
        await scene.does("fay", "leave")
        await scene.does("ada", "ack")
        await scene.does("fay", "ack")
    assert await scene.pager_says("unacknowledged", None) == 202
    await until("people to be called again", lambda: scene.entries("CommandVacated"))
    after = await scene.does("ada", "ack")
    assert after["commander"] == "ada"
    await until("PagerDuty to be told again", lambda: scene.state() == "acknowledged")

    for who, role in (("fay", "communicator"), ("ada", "fast-recovery"), ("ed", "diagnosis")):
        await scene.does(who, f"roles/{role}")
    asking = await scene.does("cy", "roles/commander")
    (request,) = [r for r in asking["requests"] if r["role"] == "commander"]
    assert (request["how"], request["asked"], asking["commander"]) == ("takeover", "ada", "ada")
    after = await scene.does("ada", f"requests/{request['request']}", accept=True)
    assert after["roles"] == {
        "commander": "cy",
        "communicator": "fay",
        "fast_recovery": "ada",
        "diagnosis": "ed",
    }

    (draft,) = [u for u in after["updates"] if u["audience"] == "customers"]
    await scene.does("fay", f"updates/{draft['update']}/send")
    await until("the customers to read it", lambda: scene.messages("C0PUBLIC"))
    (told,) = scene.messages("C0PUBLIC")
    assert "We see a problem since" in told
    assert not any(name in told for name in ("ada", "run_command", "/d/"))
    url = f"{scene.daemon.url}/api/v1/incidents/{scene.incident}/updates/{draft['update']}"
    headers = {"Authorization": "Bearer fay's own"}
    async with scene.http.put(url, json={"text": "Some carts fail."}, headers=headers) as answer:
        assert answer.status == 200
    await until("the edit", lambda: scene.messages("C0PUBLIC") == ["Some carts fail."])

    scene.pagerduty.mood = 503
    await scene.does("cy", "close", reason="a drill")
    await until("a try to resolve", lambda: scene.entries("PagerUnsettled"))
    scene.daemon.stop(signal.SIGKILL)
    scene.pagerduty.mood = ""
    pages = len(scene.entries("PageQueued"))
    scene.start()
    await until("the last word to PagerDuty", lambda: scene.state() == "resolved", 45)
    assert len(scene.entries("PageQueued")) == pages, "nothing is paged twice"
    said = scene.daemon.log.read_text() + (scene.daemon.folder / "stopgap.db").read_bytes().decode(
        "latin-1"
    )
    assert not [name for name, secret in SECRETS.items() if secret in said]
