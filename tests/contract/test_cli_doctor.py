"""`stopgap doctor`: what it finds in a folder, in a cluster, with people."""

from __future__ import annotations

import asyncio
import io
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from rich.console import Console

from daemon.adapters.store import open_store
from daemon.cli.doctor import CHECKS, print_findings
from daemon.cli.doctor import context as installation
from daemon.core.rules.label_values import KnownValues
from daemon.onboarding.findings import Finding
from daemon.watching.label_values import note_of
from recovery_actions.kubernetes import installed
from tests.contract.damage import damage, delete
from tests.contract.kubernetes_double import Cluster, served
from tests.contract.kubernetes_pods import NAMESPACE
from tests.contract.rig import CHEAP
from tests.contract.test_cli_double import Ended
from tests.contract.test_cli_init import Runs
from tests.contract.test_cli_init import stopgap as stopgap  # a fixture
from tests.doubles.alertmanager import FakeAlertmanager, firing
from tests.doubles.argocd import TOKEN, ArgoCD
from tests.doubles.promql_servers import (
    PromqlServer,
    ThanosServer,
    VictoriaMetricsServer,
    mimir,
)
from tests.doubles.serving import Double
from tests.fakes import START

ROSTER = """
people:
  ada:
    name: Ada
    token: file:ada.token
    contact: [{webhook: "env:ADA_PAGER"}, {console: true}]
  bo: {name: Bo, contact: [{console: true}]}
teams:
  shop: {owners: [ada], lead: ada, policy: shop}
policies:
  shop: {tiers: [{notify: [ada], wait: 10m}]}
default_policy: shop
"""
RULE = f"""
rule: shop
match: ['alertname="Errors"']
group_by: [service]
team: shop
problem:
  symptom: success rate
  bad: sum(increase(bad{{service="$service"}}[$window]))
  total: sum(increase(all{{service="$service"}}[$window]))
  confirm: {{drop: 1%}}
changes:
  kubernetes: {{namespace: {NAMESPACE}, deployment: checkout}}
recover:
  - action: kubernetes_rollback
    with: {{namespace: {NAMESPACE}, deployment: checkout}}
    approval: automatic
  - action: kubernetes_restart
    with: {{namespace: {NAMESPACE}, deployment: $service}}
  - action: run_command
    with: {{argv: [./mend, it], target: it}}
"""
SETTINGS = """
listen: 127.0.0.1:0
prometheus: {url: "http://127.0.0.1:9", timeout: 1s}
kubernetes: {kubeconfig: kubeconfig, timeout: 2s}
commands: {allow: [[./mend, it]]}
outgoing: {allow: [127.0.0.0/8]}
"""


OUR_ROUTE = """
receivers:
  - name: default
  - name: stopgap
    webhook_configs: [{url: "http://127.0.0.1:9393/api/v1/alerts"}]
route:
    receiver: default
    routes:
      - receiver: stopgap
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "rules").mkdir()
    (tmp_path / "stopgap.yaml").write_text(SETTINGS)
    (tmp_path / "rules/roster.yaml").write_text(ROSTER)
    (tmp_path / "rules/shop.yaml").write_text(RULE)
    token = tmp_path / "ada.token"
    token.write_text("hunter2")
    token.chmod(0o600)
    monkeypatch.setenv("ADA_PAGER", "http://127.0.0.1:9/hunter3")
    return tmp_path


class Examined:
    """What was found; no secret is ever in it."""

    def __init__(self, ended: Ended) -> None:
        assert "hunter" not in ended.out + ended.err
        told = json.loads(ended.out)
        self.code, self.healthy = ended.code, told["healthy"]
        self.found = [Finding(**finding) for finding in told["findings"]]

    def of(self, check: str) -> list[Finding]:
        return [finding for finding in self.found if finding.check == check]

    def said(self, text: str) -> Finding:
        [finding] = [finding for finding in self.found if text in finding.text]
        assert bool(finding.mend) == (finding.state != "ok")
        return finding


Examines = Callable[[], Awaitable[Examined]]


@pytest.fixture
def examine(home: Path, stopgap: Runs) -> Examines:
    async def examined() -> Examined:
        return Examined(await asyncio.to_thread(stopgap, home, "doctor", "--json"))

    return examined


async def test_every_check_speaks_though_others_fail(examine: Examines, home: Path) -> None:
    found = await examine()
    assert (found.code, found.healthy) == (1, False)
    assert found.said("links in pages").state == "warning"
    assert found.said("1 rule, the roster: no mistake").state == "ok"
    assert found.said("2 of 2 can be read").state == "ok"
    assert found.said("will be made at the first start").state == "ok"
    assert found.said("none runs; 127.0.0.1:0 is free").state == "ok"
    assert found.said("no answer from http://127.0.0.1:9/").check == "prometheus"
    assert found.said("its address is not known").check == "alertmanager"
    assert found.said("the console alone").check == "person bo"
    assert "ada (webhook-1, console-2)" in found.said("are complete").text
    assert found.said("bo have no token").state == "warning"
    assert "kubeconfig" in found.said("cannot be used").text
    step = found.said("step 1 (kubernetes_rollback): nobody has approved it")
    assert step.mend == "look at it, then: stopgap approve shop --step 1"
    assert found.said("step 2 (kubernetes_restart) takes names from").state == "warning"
    assert not (home / "stopgap.db").exists()


async def test_secrets_that_are_missing_or_public_are_told_by_their_names(
    examine: Examines, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADA_PAGER")
    (home / "ada.token").chmod(0o644)
    (home / "stopgap.yaml").write_text(SETTINGS + "auth: {webhook_token: file:nowhere}\n")
    found = await examine()
    told = found.said("roster.people.ada.contact.1.webhook: the environment variable ADA_PAGER")
    assert (told.state, told.check) == ("wrong", "secrets")
    assert found.said("auth.webhook_token: cannot read the secret in nowhere").state == "wrong"
    assert found.said("can read ada.token").mend == "chmod 600 ada.token"
    assert found.of("person ada")[0].state == "wrong"


async def test_mistakes_in_the_files_hide_nothing_else(examine: Examines, home: Path) -> None:
    (home / "rules/shop.yaml").write_text(RULE.replace("team: shop", "team: shoop"))
    found = await examine()
    assert "shop.yaml:5: team: no team 'shoop'" in found.said("shoop").text
    assert found.said("are complete").state == "ok"


async def test_known_label_values_are_counted(examine: Examines, home: Path) -> None:
    rule = RULE.replace("deployment: checkout", "deployment: $service", 1)
    (home / "rules/shop.yaml").write_text(rule)
    assert (await examine()).said("no value of $service is known yet").state == "warning"
    known = KnownValues(names=("service",)).seeing(
        [{"service": name} for name in ("cart", "shop", "news", "mail")], START
    )
    async with open_store(home / "stopgap.db") as store:
        await store.notes.write(note_of("shop"), [known.model_dump_json()])
    told = (await examine()).said("4 values of $service are watched: cart, mail, news, …")
    assert told.check == "rule shop"
    (home / "rules/shop.yaml").write_text(rule.replace('"$service"', '"the-$service"'))
    found = (await examine()).said("the values of $service cannot be found")
    assert found.mend.startswith("select by them in `problem.total`")


async def test_a_store_that_is_none_is_told(examine: Examines, home: Path) -> None:
    (home / "stopgap.db").write_text("no database, for it is a text")
    [*_, told] = (await examine()).of("store")
    assert told.state == "wrong"


async def test_what_others_can_read_or_change_is_told(examine: Examines, home: Path) -> None:
    assert (await examine()).of("files")[0].state == "ok"
    async with open_store(home / "stopgap.db"):
        pass
    roster = home / "rules/roster.yaml"
    roster.write_text(ROSTER.replace("token:", f"password: '{CHEAP.hash('hunter4')}'\n    token:"))
    os.chmod(home, 0o777)
    for path, mode in (("stopgap.db", 0o644), ("stopgap.yaml", 0o666), (roster, 0o644)):
        os.chmod(home / path, mode)
    found = await examine()
    told = found.said("others on this machine can read stopgap.db (0644)")
    assert (told.state, told.check) == ("wrong", "files")
    assert told.mend == (
        f"chmod 600 {home}/stopgap.db, as their owner or root; then: stopgap keys rotate --revoke"
    )
    assert found.said(f"others can write in {home}").mend == f"chmod go-w {home}"
    assert found.said("can change").mend == f"chmod o-w {home}/stopgap.yaml"
    assert found.said(f"can read {roster}").state == "warning"
    os.link(home / "stopgap.db", home / "second.db")
    assert (await examine()).said("more than one name").check == "files"


async def test_a_damaged_page_of_the_store_is_told(examine: Examines, home: Path) -> None:
    async with open_store(home / "stopgap.db") as store:
        await store.inbox.put("one", b"needle" * 600, START)
    damage(home / "stopgap.db", b"needle" * 100)
    told = (await examine()).said("is damaged or no SQLite database")
    assert (told.state, "stopgap store check" in told.mend) == ("wrong", True)


async def test_a_store_that_is_missing_is_told(examine: Examines, home: Path) -> None:
    async with open_store(home / "stopgap.db"):
        pass
    delete(home / "stopgap.db")
    told = (await examine()).said("is not there, and there was one")
    assert told.state == "wrong"
    assert told.mend.startswith("mount its disk or put it back"), "forgetting is no mend"


async def test_a_status_page_that_would_not_be_written_or_say_nothing_is_told(
    examine: Examines, home: Path
) -> None:
    assert not (await examine()).of("status page")
    page = "status_page: {folder: public, components: {Shop: [shop, shpo]}}\n"
    (home / "stopgap.yaml").write_text(SETTINGS + page)
    [found] = (await examine()).of("status page")
    assert (found.state, "the roster has no audience 'customers'" in found.text) == ("wrong", True)
    audience = "audiences: {customers: {channels: [room], wording: public}}\n"
    (home / "rules/roster.yaml").write_text(
        ROSTER + "channels: {room: {console: true}}\n" + audience
    )
    stranger, written = (await examine()).of("status page")
    assert stranger.state == "warning"
    assert "called shpo, so Shop has no problem of theirs" in stranger.text
    assert stranger.mend == "mend `status_page.components.Shop`"
    assert (written.state, written.text.endswith("the updates to customers")) == ("ok", True)


async def test_an_address_that_would_be_refused_is_told_beforehand(
    examine: Examines, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = {"inward": "http://inward.test/page", "meta": "http://169.254.169.254/"}
    for name, url in hooks.items():
        (home / name).write_text(url)
        (home / name).chmod(0o600)
    ways = "contact: [{webhook: file:inward}, {webhook: file:meta}, "
    (home / "rules/roster.yaml").write_text(ROSTER.replace("contact: [", ways, 1))
    closed = SETTINGS.replace("outgoing: {allow: [127.0.0.0/8]}", "")
    closed += "tracing: {endpoint: 'http://inward.test:4318/v1/traces'}\n"
    (home / "stopgap.yaml").write_text(closed)
    real = socket.getaddrinfo

    def resolve(host: Any, *given: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host == "inward.test" else host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    found = (await examine()).of("outgoing")
    assert {one.state for one in found} == {"wrong"}
    told = {one.text.partition(":")[0]: one for one in found}
    inward = told["people.ada.contact 1 (webhook)"]
    assert "it leads to 127.0.0.1:80, which is loopback" in inward.text
    assert inward.mend == 'if it is meant, add "127.0.0.1:80" to `outgoing.allow` in stopgap.yaml'
    assert "link-local" in told["people.ada.contact 2 (webhook)"].text
    assert "it leads to 127.0.0.1:4318" in told["tracing.endpoint"].text
    (home / "stopgap.yaml").write_text(
        closed + "outgoing: {allow: [127.0.0.0/8, 169.254.0.0/16]}\n"
    )
    [well] = (await examine()).of("outgoing")
    assert well.state == "ok"


async def test_a_roster_as_init_writes_it_holds_no_secret(examine: Examines, home: Path) -> None:
    template = (files("daemon.cli") / "templates/roster.yaml").read_text(encoding="utf-8")
    (home / "rules/roster.yaml").write_text(template)
    (home / "rules/roster.yaml").chmod(0o644)
    assert (await examine()).of("files")[0].state == "ok"


async def test_rights_in_a_cluster_are_tried_and_nothing_is_changed(
    examine: Examines, home: Path
) -> None:
    async with served(home) as cluster:
        missing = await examine()
        assert "there is no Deployment" in missing.said("there is no Deployment").text
        _deployed(cluster)
        before = cluster.snapshot()
        well = await examine()
        assert well.said("and our rights suffice").check == "kubernetes"
        cluster.rights = {("get", "deployments"), ("list", "pods"), ("list", "replicasets")}
        poor = await examine()
        cluster.rights = None
        assert cluster.snapshot() == before
    told = poor.of(f"kubernetes {NAMESPACE}")[0]
    assert (told.state, "patch" in told.text) == ("wrong", True)
    assert "get and patch" in told.mend


async def test_without_the_client_of_kubernetes_the_rules_say_what_to_install(
    examine: Examines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes_asyncio", None)
    installed.missing_client.cache_clear()
    try:
        found = await examine()
    finally:
        installed.missing_client.cache_clear()
    told = [one for one in found.of("rules") if "pip install 'stopgap[kubernetes]'" in one.text]
    assert len(told) == 3, "the feed and two steps"
    assert found.of("kubernetes") == []
    assert not [one for one in found.found if "defect" in one.text]


async def test_without_opentelemetry_the_settings_say_what_to_install(
    examine: Examines, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "stopgap.yaml").write_text(SETTINGS + "tracing: {endpoint: 'http://127.0.0.1:9'}\n")
    monkeypatch.setitem(sys.modules, "daemon.adapters.tracing", None)
    told = (await examine()).said("`tracing.endpoint` is set")
    assert (told.check, told.state) == ("settings", "wrong")
    assert "pip install 'stopgap[otel]'" in told.text + told.mend


async def test_what_would_refuse_a_step_is_told_beforehand(examine: Examines, home: Path) -> None:
    async with served(home) as cluster, ArgoCD().serving() as argo:
        _deployed(cluster)
        argo.add("shop", ["a" * 40, "b" * 40], auto_sync=True)
        (home / "stopgap.yaml").write_text(
            f"{SETTINGS}argocd: {{url: '{argo.url}', token: file:argo.token}}\n"
        )
        rule = f"{RULE}  - action: argocd_rollback\n    with: {{application: shop}}\n"
        (home / "rules/shop.yaml").write_text(rule)
        (home / "argo.token").write_text("another's")
        found = await examine()
        assert "signature is invalid" in found.said("step 4 (argocd_rollback)").text
        assert "(program_missing)" in found.said("step 3 (run_command) would be refused").text
        mend = home / "mend"
        mend.write_text("#!/bin/sh\n")
        mend.chmod(0o755)
        (home / "argo.token").write_text(TOKEN)
        found = await examine()
        assert found.said("step 4 (argocd_rollback) would be refused (auto_sync)").mend
        assert "the preflight of 2 steps finds no fault" in found.of("actions")[0].text
        assert argo.rollbacks == []


async def test_what_alertmanager_lists_can_be_compared_or_it_is_told_why_not(
    examine: Examines, home: Path
) -> None:
    lost = "an outage soon after a silence is not told"
    assert lost in (await examine()).said("its address is not known").text

    def set_(text: str) -> None:
        (home / "stopgap.yaml").write_text(f"{SETTINGS}alertmanager: {{{text}}}\n")

    async with FakeAlertmanager().serving() as one, FakeAlertmanager().serving() as two:
        one.config = two.config = OUR_ROUTE
        one.groups = two.groups = [("stopgap", {}, [firing({"service": "shop"})])]
        set_(f"url: '{one.url}'")
        found = await examine()
        told = found.said("it lists 1 alert for stopgap, which is compared")
        assert (told.state, "each 30s" in told.text) == ("ok", True)
        two.cluster = one.cluster = 3
        set_(f"urls: ['{one.url}', '{two.url}']")
        found = await examine()
        assert found.said("a cluster of 3 peers, and the settings name 2").state == "warning"
        two.mood, one.cluster = 503, 2
        found = await examine()
        assert found.said("1 of 2 peers answer").state == "ok"
        assert found.said("answers 503").state == "wrong"
        set_(f"url: '{one.url}', receiver: pager")
        assert "it has default, stopgap" in (await examine()).said("no receiver pager").mend
        one.config += "        mute_time_intervals: [nights]\n"
        set_(f"url: '{one.url}', receiver: stopgap")
        assert (await examine()).said("have time intervals").state == "warning"


@pytest.mark.parametrize(
    ("server", "given", "told"),
    [
        (
            VictoriaMetricsServer(),
            "auto",
            {
                "it is VictoriaMetrics (the header X-Server-Hostname)": "ok",
                "asked plainly its answers are 3": "ok",
                "/api/v1/rules is empty": "warning",
            },
        ),
        (VictoriaMetricsServer(), "prometheus", {"the settings say Prometheus": "wrong"}),
        (PromqlServer(build=[]), "auto", {"it does not tell what it is": "warning"}),
        (mimir(scraped_ago=8.0), "auto", {"verification waits 9s longer": "ok"}),
        (mimir(scraped_ago=150.0), "auto", {"more than 2m is taken for a monitoring": "wrong"}),
        (ThanosServer(), "thanos", {"it is Thanos 0.36.1 (`prometheus.flavour`)": "ok"}),
        (PromqlServer(), "auto", {"it is Prometheus 2.53.3 (its version 2.53.3)": "ok"}),
    ],
)
async def test_which_server_answers_and_how_late_is_told(
    examine: Examines, home: Path, server: PromqlServer, given: str, told: Mapping[str, str]
) -> None:
    async with server.serving():
        prometheus = f'prometheus: {{url: "{server.url}", timeout: 3s, flavour: {given}}}'
        settings = SETTINGS.replace(SETTINGS.splitlines()[2], prometheus)
        (home / "stopgap.yaml").write_text(settings)
        found = await examine()
    for text, state in told.items():
        finding = found.said(text)
        assert (finding.check, finding.state) == ("prometheus", state)


async def test_hints_of_prometheus_are_told_and_spoil_nothing(
    examine: Examines, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = PromqlServer()
    whole, hint = server.instant, "PromQL info: metric might not be a counter"
    monkeypatch.setattr(server, "instant", lambda form: (200, {**whole(form)[1], "infos": [hint]}))
    async with server.serving():
        (home / "stopgap.yaml").write_text(SETTINGS.replace("http://127.0.0.1:9", server.url))
        found = await examine()
        assert found.said(f"a hint, which changes no verdict: {hint}").state == "ok"
        assert found.said("the queries of 1 of 1 return something now").state == "ok"
        monkeypatch.setattr(
            server, "instant", lambda form: (200, {**whole(form)[1], "warnings": ["a store"]})
        )
        found = await examine()
        assert found.said("so the problem could not be measured: a store").state == "wrong"


async def test_a_test_page_goes_out_by_each_way(
    home: Path, stopgap: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Pager().serving() as pager:
        monkeypatch.setenv("ADA_PAGER", f"{pager.url}/page")
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
        asked = await asyncio.to_thread(stopgap, home, "doctor", "--page", "ada")
        assert (asked.code, pager.asked) == (1, [])
        asks = ("doctor", "--page", "ada", "--yes", "--json")
        found = Examined(await asyncio.to_thread(stopgap, home, *asks))
        assert [f.state for f in found.of("page ada")] == ["ok", "ok"]
        assert "a test page" in json.loads(pager.asked[0]["body"])["title"]
        pager.mood = 500
        found = Examined(await asyncio.to_thread(stopgap, home, *asks))
        assert [f.state for f in found.of("page ada")] == ["wrong", "ok"]
        assert found.code == 1
    unknown = await asyncio.to_thread(stopgap, home, "doctor", "--page", "eve", "--yes")
    assert unknown.err == "stopgap: 'eve' is not in the roster; it has ada, bo\n"
    alone = await asyncio.to_thread(stopgap, home, "doctor", "--yes")
    assert alone.code == 2


async def test_a_check_that_hangs_or_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: Any) -> Any:
        yield Finding("ok", "a", "before")
        await asyncio.Event().wait()

    async def breaks(_: Any) -> Any:
        yield Finding("ok", "b", "before")
        raise RuntimeError("hunter2")

    monkeypatch.setattr(installation, "_DEADLINE_SECONDS", 0.01)
    found = await installation.examine(None, {"a": hangs, "b": breaks})  # type: ignore[arg-type]
    assert [(f.check, f.state) for f in found] == [
        ("a", "ok"),
        ("a", "wrong"),
        ("b", "ok"),
        ("b", "wrong"),
    ]
    assert "hunter2" not in str(found)


def test_for_people_it_ends_with_a_sum(home: Path, stopgap: Runs) -> None:
    ended = stopgap(home, "doctor")
    lines = ended.out.splitlines()
    assert lines[0].startswith("! settings ")
    assert lines[1].strip().startswith("→ set `external_url`")
    assert lines[-1].endswith(" to look at")
    assert {line.split()[0] for line in lines if line[:1].strip()} >= {"✓", "!", "✗"}
    assert set(CHECKS) >= {"prometheus", "alertmanager", "kubernetes"}


def test_a_terminal_breaks_between_words_and_goes_on_below() -> None:
    sentence = "no answer from http://127.0.0.1:9090/api/v1/status/buildinfo, it is away " * 2
    console = Console(width=80, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as caught:
        print_findings([Finding("wrong", "prometheus", sentence, "mend it")], console)
    first, *rest = caught.get().splitlines()
    assert first.startswith("✗ prometheus  no answer from ")
    assert all(line.startswith(" " * 14) and len(line) <= 80 for line in rest)
    assert " ".join(" ".join([first, *rest]).split()) == f"✗ prometheus {sentence}→ mend it"


class Pager(Double):
    """Somebody's phone gateway."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/page", self._paged)]

    async def _paged(self, _: web.Request) -> web.Response:
        return web.Response()


def _deployed(cluster: Cluster) -> None:
    template = {
        "metadata": {"labels": {"app": "checkout"}},
        "spec": {"containers": [{"name": "main", "image": "shop:1"}]},
    }
    cluster.add(
        "deployments",
        {
            "metadata": {"name": "checkout", "namespace": NAMESPACE},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "checkout"}},
                "template": template,
            },
        },
    )
