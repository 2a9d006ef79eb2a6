"""`git_revert` on GitHub and on GitLab: the contract, each refusal, each end, each crash."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from daemon.core.changes.suspects import Change
from daemon.core.ports.actions import ActionContext, Ready
from daemon.core.values.outcome import Temporary
from recovery_actions.contract import ActionContract, context
from recovery_actions.git.reverting import names_repository
from recovery_actions.git_revert import GitRevert
from recovery_actions.kubernetes.guards import managed_by_gitops
from recovery_actions.kubernetes.names import Workload
from recovery_actions.workshop import ArgoCD as ArgoCDSettings
from recovery_actions.workshop import GitHosting, Workshop
from tests.doubles.argocd import TOKEN as ARGO_TOKEN
from tests.doubles.argocd import ArgoCD
from tests.doubles.git_hosts import TOKEN, GitHostDouble, GitHubHost, GitLabHost
from tests.loopback import LOOPBACK

HOSTS: dict[Any, type[GitHostDouble]] = {"github": GitHubHost, "gitlab": GitLabHost}
REPOSITORY = "acme/shop-deploy"


class Scene:
    """A repository whose newest commit but one is bad, and the action upon it. `merges`: somebody
    merges whatever is open, after so many looks."""

    def __init__(self, host: GitHostDouble, workshop: Workshop) -> None:
        self.host, self.repo, self.workshop = host, host.repo, workshop
        self.merges: int | None = 1
        self.looks = 0
        self.squash = False
        self.before = self.repo.push(
            "checkout 1", apps__checkout="image: 1", apps__stock="image: 7"
        )
        self.bad = self.repo.push("checkout 2", apps__checkout="image: 2", apps__flags="loyalty")
        self.repo.push("stock 8", apps__stock="image: 8")
        self.action = GitRevert(workshop, self.pause)

    async def pause(self, seconds: float) -> None:
        assert 0 < seconds <= 10
        self.looks += 1
        if self.merges is not None and self.looks >= self.merges:
            for request in self.repo.requests:
                if request.state == "open":
                    self.repo.merge(request, squash=self.squash)

    def params(self, **changes: Any) -> Any:
        given = {"repository": REPOSITORY, "commit": self.bad, **changes}
        return self.action.Params.model_validate(given)

    async def ready(self, with_context: ActionContext | None = None, **changes: Any) -> Ready:
        ready = await self.action.preflight(self.params(**changes), with_context or context())
        assert isinstance(ready, Ready), ready
        return ready

    async def refusal(self, with_context: ActionContext | None = None, **changes: Any) -> Any:
        refused: Any = await self.action.preflight(
            self.params(**changes), with_context or context()
        )
        assert not isinstance(refused, Ready), refused
        assert " " in refused.text
        assert TOKEN not in refused.text
        return refused

    async def run(self, said: list[str] | None = None, **changes: Any) -> Any:
        ready = await self.ready(**changes)
        return await self.action.run(self.params(**changes), ready.intent, context(said=said))


@pytest.fixture(params=HOSTS)
async def host(request: pytest.FixtureRequest) -> AsyncIterator[GitHostDouble]:
    async with HOSTS[request.param]().serving() as double:
        yield double


@pytest.fixture
async def argo() -> AsyncIterator[ArgoCD]:
    async with ArgoCD().serving() as double:
        yield double


@pytest.fixture
async def workshop(host: GitHostDouble, argo: ArgoCD, tmp_path: Path) -> AsyncIterator[Workshop]:
    api: Any = "github" if isinstance(host, GitHubHost) else "gitlab"
    shop = Workshop(
        tmp_path,
        argocd=ArgoCDSettings(argo.url, "env:ARGO"),
        git=GitHosting(api, host.url, "env:GIT", (REPOSITORY,), direct=True),
        secret={"env:ARGO": ARGO_TOKEN, "env:GIT": TOKEN}.__getitem__,
        outgoing=LOOPBACK,
    )
    yield shop
    await shop.close()


@pytest.fixture
def scene(host: GitHostDouble, workshop: Workshop) -> Scene:
    return Scene(host, workshop)


class TestGitRevert(ActionContract):
    @pytest.fixture
    async def action(self, scene: Scene) -> GitRevert:
        self.scene = scene
        return scene.action

    @pytest.fixture
    def params(self, action: GitRevert) -> Any:
        return self.scene.params()

    @pytest.fixture
    def refused_params(self, action: GitRevert) -> Any:
        return self.scene.params(commit="0" * 40)

    def world(self, tmp_path: Path) -> Any:
        repo = self.scene.repo
        return dict(repo.branches), [replace(one) for one in repo.requests], self.scene.host.writes

    def effect(self, tmp_path: Path) -> Any:
        repo = self.scene.repo
        return repo.text("apps/checkout.yaml"), len(repo.requests), len(repo.commits)

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        given = {"repository": REPOSITORY, "commit": self.scene.bad}
        for name in ("repository", "branch", "commit", "application"):
            yield {**given, name: value}
        yield {**given, "paths": [value]}


class TestDirectGitRevert(TestGitRevert):
    @pytest.fixture
    def params(self, action: GitRevert) -> Any:
        return self.scene.params(direct=True)


# ── what is reverted ─────────────────────────────────────────────────────────────────────────


async def test_it_asks_and_waits_for_the_merge(scene: Scene) -> None:
    said: list[str] = []
    scene.merges = 3
    outcome = await scene.run(said)
    assert (outcome.result, outcome.reason) == ("done", "reverted_in_git")
    [request] = scene.repo.requests
    assert request.title == 'Revert "checkout 2"'
    assert scene.bad in request.text
    assert "incident 0309-1403-test" in request.text
    assert request.branch.startswith("stopgap/revert-0309-1403-test-")
    assert scene.repo.text("apps/checkout.yaml") == "image: 1"
    assert scene.repo.text("apps/flags.yaml") is None
    assert scene.repo.text("apps/stock.yaml") == "image: 8"  # the later commit stays
    assert scene.host.writes[-2:] == ["branch", "request"]
    assert outcome.facts["url"].endswith("/1")
    assert "is open" in said[0]
    assert "when somebody merges it" in said[0]
    assert "is merged" in said[1]
    assert outcome.facts["url"] in outcome.detail


async def test_the_summary_names_commits_files_and_the_way(scene: Scene) -> None:
    ready = await scene.ready()
    assert f"revert {scene.bad[:8]} (checkout 2) in acme/shop-deploy" in ready.summary
    assert "apps/checkout.yaml, apps/flags.yaml" in ready.summary
    assert "by a request to merge onto main" in ready.summary
    assert "by a commit on main" in (await scene.ready(direct=True)).summary
    assert (ready.intent["from"], ready.intent["to"]) == (scene.bad, scene.before)
    short = await scene.ready(commit=scene.bad[:9])
    assert short.intent["from"] == scene.bad


async def test_only_the_paths_go_back(scene: Scene) -> None:
    await scene.run(paths=["apps/checkout.yaml"])
    assert scene.repo.text("apps/checkout.yaml") == "image: 1"
    assert scene.repo.text("apps/flags.yaml") == "loyalty"
    refused = await scene.refusal(paths=["charts"])
    assert refused.reason == "not_revertible"
    assert "charts" in refused.text


async def test_a_deleted_file_and_its_mode_come_back(scene: Scene) -> None:
    tip = scene.repo.commits[scene.repo.branches["main"]]
    script = {**tip.files, "run": ("100755", b"#!/bin/sh\n")}
    scene.repo.branches["main"] = scene.repo.add(script, "a script", (tip.sha,)).sha
    bad = scene.repo.add(tip.files, "no script", (scene.repo.branches["main"],)).sha
    scene.repo.branches["main"] = bad
    assert (await scene.run(commit=bad)).result == "done"
    merged = scene.repo.commits[scene.repo.branches["main"]].files
    assert merged["run"] == ("100755", b"#!/bin/sh\n")


async def test_what_was_touched_since_is_left_to_people(scene: Scene) -> None:
    scene.repo.push("by hand", apps__checkout="image: 3")
    refused = await scene.refusal()
    assert refused.reason == "changed_meanwhile"
    assert "apps/checkout.yaml changed again since" in refused.text
    assert "commits/main/apps/checkout.yaml" in refused.text
    assert (await scene.ready(paths=["apps/flags.yaml"])).intent["from"] == scene.bad


async def test_what_is_reverted_already_is_said(scene: Scene) -> None:
    scene.repo.push("back", apps__checkout="image: 1", apps__flags=None)
    assert (await scene.refusal()).reason == "already_reverted"


async def test_of_a_partial_revert_the_rest_goes_back(scene: Scene) -> None:
    scene.repo.push("half back", apps__flags=None)
    assert "apps/flags" not in (await scene.ready()).summary
    assert (await scene.run()).result == "done"
    assert scene.repo.text("apps/checkout.yaml") == "image: 1"


async def test_each_refusal_has_its_reason(scene: Scene) -> None:
    assert (await scene.refusal(branch="live")).reason == "not_on_branch"
    scene.repo.branches["live"] = scene.before
    assert (await scene.refusal(branch="live")).reason == "not_on_branch"
    assert (await scene.refusal(commit=scene.before)).reason == "not_revertible"
    assert (await scene.refusal(commit=None)).reason == "commit_unknown"
    many = {f"f{n}": "1" for n in range(101)}
    assert (await scene.refusal(commit=scene.repo.push("many", **many))).reason == "not_revertible"
    scene.repo.writable = False
    assert (await scene.refusal()).reason == "forbidden"


async def test_what_the_settings_do_not_allow(scene: Scene) -> None:
    shop = scene.workshop
    refused = await scene.refusal(repository="acme/other")
    assert refused.reason == "repository_not_allowed"
    assert '- "acme/other"' in refused.text
    shop.git = replace(shop.git, direct=False)
    assert (await scene.refusal(direct=True)).reason == "direct_not_allowed"
    assert "direct: true" in str(scene.action.allowed(scene.params(direct=True)))
    shop.argocd = ArgoCDSettings()
    assert (await scene.refusal(application="checkout")).reason == "not_configured"
    shop.git = GitHosting()
    assert "set api and token under `git:`" in (await scene.refusal()).text
    outcome = await scene.action.run(scene.params(), {}, context())
    assert (outcome.result, outcome.reason) == ("refused", "not_configured")
    assert scene.host.writes == []


async def test_a_wrong_token_is_said_and_not_shown(scene: Scene) -> None:
    scene.workshop.secret = lambda reference: "wrong-token-of-ours"
    refused = await scene.refusal()
    assert refused.reason == "forbidden"
    assert "git.token" in refused.text
    assert "wrong-token-of-ours" not in refused.text


@pytest.mark.parametrize("mood", [500, 502, 429])
async def test_a_host_in_trouble_is_temporary(scene: Scene, mood: int) -> None:
    scene.host.mood = mood
    with pytest.raises(Temporary, match=f"answered {mood}"):
        await scene.action.preflight(scene.params(), context())


@pytest.mark.parametrize("mood", [200, 301])
async def test_what_is_no_api_is_said(scene: Scene, mood: int) -> None:
    scene.host.mood = mood
    refused = await scene.refusal()
    assert refused.reason == "refused_by_git_host"
    assert "git.url" in refused.text


# ── which commit ─────────────────────────────────────────────────────────────────────────────


def blamed(item: str, previous: str = "") -> ActionContext:
    at = datetime(2025, 3, 9, 14, 1, tzinfo=UTC)
    change = Change(
        subject="reported:ci", item=item, previous=previous, at=at, seen_by="ci", target="git:x"
    )
    return replace(context(), suspect=change)


async def test_the_suspect_says_which_commit(scene: Scene) -> None:
    ready = await scene.ready(blamed(scene.bad), commit=None)
    assert (ready.intent["from"], ready.intent["to"]) == (scene.bad, scene.before)
    newest = scene.repo.branches["main"]
    ready = await scene.ready(blamed(newest, scene.before), commit=None)
    assert (ready.intent["from"], ready.intent["to"]) == (newest, scene.before)
    assert "apps/stock.yaml" in ready.summary
    assert (await scene.refusal(blamed("v42"), commit=None)).reason == "commit_unknown"


async def test_a_rewritten_range_is_not_reverted(scene: Scene) -> None:
    scene.repo.branches["other"] = scene.before
    elsewhere = scene.repo.push("elsewhere", branch="other", apps__x="1")
    refused = await scene.refusal(blamed(scene.bad, elsewhere), commit=None)
    assert refused.reason == "not_revertible"
    assert "does not come after" in refused.text


def deployed(argo: ArgoCD, *revisions: str, repository: str = REPOSITORY) -> None:
    argo.add("checkout", list(revisions), auto_sync=True)
    for entry in argo.apps["checkout"]["status"]["history"]:
        entry["source"]["repoURL"] = f"https://git.example/{repository}.git"


async def test_argo_cd_says_what_is_live_and_it_is_followed_there(
    scene: Scene, argo: ArgoCD
) -> None:
    newest = scene.repo.branches["main"]
    deployed(argo, scene.before, newest)
    params = scene.params(commit=None, application="checkout", paths=["apps/checkout.yaml"])
    assert scene.action.target(params) == "argocd:checkout"
    ready: Any = await scene.action.preflight(params, context(scene.before))
    assert (ready.intent["from"], ready.intent["to"]) == (newest, scene.before)
    scene.squash = True

    async def sync(seconds: float) -> None:
        await scene.pause(seconds)
        if scene.looks == 5:
            argo.deploy("checkout", newest)  # a sync of what was before the merge is not it
        if scene.looks == 9:
            argo.deploy("checkout", scene.repo.branches["main"])

    said: list[str] = []
    outcome = await GitRevert(scene.workshop, sync).run(params, ready.intent, context(said=said))
    assert (outcome.result, outcome.reason) == ("done", "reverted_in_git")
    assert "checkout is live with it" in outcome.detail
    assert scene.looks == 9
    assert await scene.action.check(params, ready.intent, context()) == "done"


async def test_merged_but_not_synced_is_failed(scene: Scene, argo: ArgoCD) -> None:
    deployed(argo, scene.before, scene.bad)
    params = scene.params(commit=None, application="checkout")
    ready: Any = await scene.action.preflight(params, context(scene.before))
    outcome = await scene.action.run(params, ready.intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "not_synced")
    assert "is merged" in outcome.detail
    assert "look at checkout there" in outcome.detail
    assert await scene.action.check(params, ready.intent, context()) == "half_done"


async def test_argo_cd_refusals(scene: Scene, argo: ArgoCD) -> None:
    async def reason(to: str, **changes: Any) -> str:
        given: dict[str, Any] = {"commit": None, "application": "checkout", **changes}
        refused = await scene.refusal(context(to), **given)
        return str(refused.reason)

    assert await reason("", project="shop") == "no_such_application"
    argo.add("checkout", [])
    assert await reason(scene.before) == "no_history"
    deployed(argo, scene.before, scene.bad, repository="acme/other")
    assert await reason(scene.before) == "other_repository"
    deployed(argo, "1.2.3", scene.bad)
    assert await reason("") == "no_healthy_item"
    assert await reason("1.2.3") == "commit_unknown"
    deployed(argo, scene.before, scene.bad)
    changed = replace(context(scene.before), expected="c" * 40)
    refused = await scene.refusal(changed, commit=None, application="checkout")
    assert refused.reason == "changed_meanwhile"


@pytest.mark.parametrize(
    ("address", "same"),
    [
        ("https://git.example/acme/shop-deploy", True),
        ("https://user@git.example:8443/acme/shop-deploy.git", True),
        ("git@git.example:acme/shop-deploy.git", True),
        ("ssh://git@git.example:22/acme/Shop-Deploy.git/", True),
        ("https://git.example/other/acme/shop-deploy", False),
        ("https://git.example/acme/shop-deploy-2", False),
        ("", False),
    ],
)
def test_an_address_names_the_repository_or_another(address: str, same: bool) -> None:
    assert names_repository(address, REPOSITORY) is same


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {"argocd.argoproj.io/tracking-id": "checkout:apps/Deployment:prod/x"}},
        {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}},
    ],
    ids=["Argo CD", "Flux"],
)
def test_where_a_live_change_is_refused_the_revert_is_offered(metadata: dict[str, Any]) -> None:
    workload = Workload("prod", "deployment", "checkout")
    refused = managed_by_gitops(workload, {"metadata": metadata})
    assert refused is not None
    assert "git_revert" in refused.text


# ── asked for is not done ────────────────────────────────────────────────────────────────────


async def test_nobody_merges_it(scene: Scene) -> None:
    scene.merges = None
    ready = await scene.ready()
    within = replace(context(), within=timedelta(minutes=4))
    outcome = await scene.action.run(scene.params(), ready.intent, within)
    assert (outcome.result, outcome.reason) == ("failed", "not_merged")
    assert "nothing is live of it" in outcome.detail
    assert outcome.facts["url"] in outcome.detail
    assert scene.looks == 23  # 3m48s, which is 95 % of `within`, one each 10 s
    assert await scene.action.check(scene.params(), ready.intent, context()) == "half_done"
    [request] = scene.repo.requests
    scene.repo.merge(request)
    assert await scene.action.check(scene.params(), ready.intent, context()) == "done"


async def test_a_request_that_fits_no_more_is_not_to_be_merged(scene: Scene) -> None:
    scene.merges = None
    ready = await scene.ready()

    async def mended(seconds: float) -> None:
        if scene.repo.text("apps/checkout.yaml") == "image: 2":
            scene.repo.push("by hand", apps__checkout="image: 3")

    outcome = await GitRevert(scene.workshop, mended).run(scene.params(), ready.intent, context())
    assert outcome.reason == "not_merged"
    assert "Merge it" not in outcome.detail
    assert "apps/checkout.yaml changed again since" in outcome.detail


async def test_somebody_closes_it(scene: Scene) -> None:
    scene.merges = None
    ready = await scene.ready()

    async def close(seconds: float) -> None:
        scene.repo.requests[0].state = "closed"

    action = GitRevert(scene.workshop, close)
    outcome = await action.run(scene.params(), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "request_closed")
    again = await action.run(scene.params(), ready.intent, context())
    assert again.reason == "request_closed"
    assert len(scene.repo.requests) == 1


async def test_a_branch_of_that_name_is_left_alone(scene: Scene) -> None:
    ready = await scene.ready()
    scene.repo.branches[ready.intent["branch"]] = scene.repo.branches["main"]
    outcome = await scene.action.run(scene.params(), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "branch_taken")
    assert scene.host.writes == []


async def test_what_changed_since_preflight_is_refused(scene: Scene) -> None:
    ready = await scene.ready()
    scene.repo.push("by hand", apps__checkout="image: 3")
    outcome = await scene.action.run(scene.params(), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert scene.host.writes == []


async def test_a_host_that_goes_away_leaves_it_unknown(scene: Scene) -> None:
    scene.merges = None
    ready = await scene.ready()

    async def go_away(seconds: float) -> None:
        scene.host.mood = 503

    outcome = await GitRevert(scene.workshop, go_away).run(scene.params(), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("unknown", "lost_sight")
    assert "is open" in outcome.detail
    assert "503" in outcome.detail


# ── crashes ──────────────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """The process ends here, as if by kill -9."""


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("at", range(1, 5))
@pytest.mark.parametrize("lost", [False, True])
async def test_a_kill_between_any_two_calls_makes_nothing_twice(
    scene: Scene, direct: bool, at: int, lost: bool
) -> None:
    """Before the `at`-th change the process dies, or its answer never comes (`lost`)."""
    params = scene.params(direct=direct)
    ready = await scene.ready(direct=direct)
    calls = 0

    def deadly(path: str) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            scene.host.loses = int(lost)
            if not lost:
                raise RuntimeError(path)  # the double answers 500, the run is cut below

    scene.host.before_write = deadly

    async def die(seconds: float) -> None:
        raise Killed

    with suppress(Killed):
        await GitRevert(scene.workshop, die).run(params, ready.intent, context())
    landed = await scene.action.check(params, ready.intent, context())
    assert landed in {"not_done", "half_done", "done"}
    outcome = await scene.action.run(params, ready.intent, context())
    assert outcome.result == "done", outcome
    assert scene.repo.text("apps/checkout.yaml") == "image: 1"
    assert len(scene.repo.requests) == (0 if direct else 1)
    ours = [name for name in scene.repo.branches if name.startswith("stopgap/")]
    assert len(ours) == (0 if direct else 1)
    marked = [one for one in scene.repo.history("main") if "Stopgap-Step: step-1" in one.message]
    assert len(marked) == 1
    assert await scene.action.check(params, ready.intent, context()) == "done"


async def test_two_daemons_ask_once(scene: Scene) -> None:
    """A second one, which believes that it holds the lock, makes the request just before us."""
    ready = await scene.ready()
    other = GitRevert(scene.workshop, scene.pause)
    raced = False

    async def race(path: str) -> None:
        outcome = await other.run(scene.params(), ready.intent, context())
        assert outcome.result == "done"

    original = scene.action._host

    def host_of(params: Any, context: Any) -> Any:
        host = original(params, context)
        make = host.commit_to_new_branch

        async def late(*arguments: Any) -> None:
            nonlocal raced
            if not raced:
                raced = True
                await race("")
            await make(*arguments)

        host.commit_to_new_branch = late
        return host

    scene.action._host = host_of  # type: ignore[method-assign]
    outcome = await scene.action.run(scene.params(), ready.intent, context())
    assert outcome.result == "done"
    assert len(scene.repo.requests) == 1


# ── by a commit on the branch ────────────────────────────────────────────────────────────────


async def test_a_direct_commit_is_one_commit_on_the_branch(scene: Scene) -> None:
    before = scene.repo.branches["main"]
    outcome = await scene.run(direct=True)
    assert outcome.result == "done"
    made = scene.repo.commits[scene.repo.branches["main"]]
    assert made.parents == (before,)
    assert made.message.startswith('Revert "checkout 2"')
    assert scene.repo.requests == []
    assert made.sha[:8] in outcome.detail


async def test_a_push_just_before_ours_is_not_overwritten(scene: Scene) -> None:
    pushed = False

    def push(path: str) -> None:
        nonlocal pushed
        if not pushed and ("refs" in path or "commits" in path.rpartition("/")[2]):
            pushed = True
            scene.repo.push("stock 9", apps__stock="image: 9")

    scene.host.before_write = push
    outcome = await scene.run(direct=True)
    assert outcome.result == "done"
    assert pushed
    assert scene.repo.text("apps/stock.yaml") == "image: 9"
    assert scene.repo.text("apps/checkout.yaml") == "image: 1"


async def test_a_push_to_the_same_file_just_before_ours_is_left_alone(scene: Scene) -> None:
    def push(path: str) -> None:
        scene.host.before_write = lambda path: None
        scene.repo.push("by hand", apps__checkout="image: 3")

    scene.host.before_write = push
    outcome = await scene.run(direct=True)
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert scene.repo.text("apps/checkout.yaml") == "image: 3"


async def test_a_protected_branch_is_said(scene: Scene) -> None:
    scene.repo.protected.add("main")
    outcome = await scene.run(direct=True)
    assert outcome.result == "refused"
    assert outcome.reason in {"forbidden", "refused_by_git_host"}
    assert scene.repo.text("apps/checkout.yaml") == "image: 2"


async def test_the_evidence_shows_the_branch(scene: Scene) -> None:
    newest = scene.repo.branches["main"]
    shown = await scene.action.show(scene.params(), context())
    assert shown == {"main": f"{newest[:8]} stock 8"}


@pytest.mark.parametrize(
    "changes",
    [
        {"repository": "shop"},
        {"repository": "acme/../x"},
        {"repository": "https://git.example/acme/shop"},
        {"branch": "a..b"},
        {"branch": "-x"},
        {"branch": "a/.b"},
        {"branch": "x.lock"},
        {"branch": "a b"},
        {"commit": "main"},
        {"commit": "abc"},
        {"commit": "A" * 40},
        {"paths": ["../x"]},
        {"paths": ["/x"]},
        {"paths": ["a//b"]},
        {"paths": ["a\nb"]},
    ],
)
def test_a_crooked_name_is_no_parameter(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        GitRevert.Params.model_validate({"repository": REPOSITORY, **changes})


async def test_no_request_shows_the_token(scene: Scene) -> None:
    outcome = await scene.run()
    sent = [json.dumps([asked["path"], asked["body"].decode()]) for asked in scene.host.asked]
    assert not any(TOKEN in one for one in sent)
    assert TOKEN not in outcome.model_dump_json()


# ── a token with half of the rights, and what the host shows no more ─────────────────────────


def forbids_requests(path: str) -> None:
    """The token may push, and not ask for a merge."""
    if path.endswith(("/pulls", "/merge_requests")):
        said = {"message": "Resource not accessible by personal access token"}
        raise web.HTTPForbidden(text=json.dumps(said), content_type="application/json")


async def test_a_branch_without_its_request_is_said_with_the_way_on(scene: Scene) -> None:
    ready = await scene.ready()
    scene.host.before_write = forbids_requests
    outcome = await scene.action.run(scene.params(), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("failed", "forbidden")
    assert f"the branch {ready.intent['branch']} has the revert" in outcome.detail
    assert "open the request by hand" in outcome.detail
    assert "git.token" in outcome.detail
    assert await scene.action.check(scene.params(), ready.intent, context()) == "half_done"
    scene.host.before_write = lambda path: None
    assert (await scene.action.run(scene.params(), ready.intent, context())).result == "done"


async def test_a_repository_that_is_hidden_midway_is_lost_from_sight(scene: Scene) -> None:
    """A token that ran out of its right is answered 404, as if there were no repository."""
    scene.merges = None
    ready = await scene.ready()
    project = scene.host

    async def hide(seconds: float) -> None:
        project.hidden = True

    outcome = await GitRevert(scene.workshop, hide).run(scene.params(), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("unknown", "lost_sight")
    assert "is open" in outcome.detail
    assert "hides it from us" in outcome.detail


async def test_a_file_that_is_too_large_is_left_to_people(scene: Scene) -> None:
    if isinstance(scene.host, GitHubHost):
        pytest.skip("GitHub is told which content, and not sent it")
    scene.before = scene.repo.push("checkout 3", model="x" * (17 << 20))
    scene.bad = scene.repo.push("checkout 4", model="y")
    ready = await scene.ready()
    outcome = await scene.action.run(scene.params(), ready.intent, context())
    assert (outcome.result, outcome.reason) == ("refused", "not_revertible")
    assert "16 MB" in outcome.detail
    assert "git.url" not in outcome.detail


async def test_a_folder_that_was_a_file_becomes_one_again(scene: Scene) -> None:
    """What is in its way goes first."""
    scene.repo.push("one file", conf="a: 1")
    files = dict(scene.repo.commits[scene.repo.branches["main"]].files)
    del files["conf.yaml"]
    scene.bad = scene.repo.add(
        {**files, "conf.yaml/a": ("100644", b"1")}, "a folder", (scene.repo.branches["main"],)
    ).sha
    scene.repo.branches["main"] = scene.bad
    outcome = await scene.run()
    assert outcome.result == "done", outcome
    assert scene.repo.text("conf.yaml") == "a: 1"
