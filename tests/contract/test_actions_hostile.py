"""Whatever a label holds, it reaches no shell, no other path of a URL and no second header."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import aiohttp
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict
from pydantic import ValidationError
from yarl import URL

from recovery_actions import argo_rollouts_abort, argocd, helm_rollback, releases
from recovery_actions.addresses import origin, why_not_reachable
from recovery_actions.argo_rollouts_abort import ArgoRolloutsAbortParams
from recovery_actions.argocd import Argo, ArgoCDPlace
from recovery_actions.contract import HOSTILE
from recovery_actions.git.github import GitHubRepository
from recovery_actions.git.gitlab import GitLabProject
from recovery_actions.git.params import GitRevertParams
from recovery_actions.helm_rollback import HelmRollback, HelmRollbackParams
from recovery_actions.http_params import HttpCallParams
from recovery_actions.release_rollback import ReleaseRollback, ReleaseRollbackParams
from recovery_actions.run_command import RunCommand, RunCommandParams
from recovery_actions.workshop import ArgoCD, GitHosting, Workshop

HOST = "flags.example.org"
CORPUS = [
    *(value.format(canary="/tmp/canary", victim="/tmp/victim") for value in HOSTILE.values()),
    "..",
    ".",
    "...",
    "%2e%2e",
    "%252e%252e%252f",
    "..%2f..%2fadmin",
    "..;",
    "%2e%2e;/",
    "..%5c",
    "%c0%ae%c0%ae",
    "\uff0e\uff0e",
    "@evil.net",
    "x@evil.net/",
    "\\@evil.net",
    "evil.net#",
    "evil.net?",
    ".evil.net",
    "evil.net:443",
    "127.1",
    "0x7f000001",
    "[::ffff:127.0.0.1]",
    "x\r\nX-Injected: 1",
    "x%0d%0aX-Injected:%201",
    "x\u0085y",
    "x\u2028y",
    "-n",
    "--kubeconfig=/tmp/x",
    "--post-renderer=/tmp/x",
    "a=b",
    "prod/rollback",
    "rollback?dryRun=true",
    "checkout%2Frollback",
]
values = st.one_of(
    st.sampled_from(CORPUS),
    st.text(max_size=40),
    st.text(alphabet="./%2e5c;\\@#?:-_aA0\r\n \0", max_size=12),
)
often = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def corpus(test: Any) -> Any:
    for value in CORPUS:
        test = example(value)(test)
    return test


def call(**changes: Any) -> HttpCallParams | None:
    try:
        return HttpCallParams.model_validate(
            {"method": "PUT", "url": f"https://{HOST}/flags/x", **changes}
        )
    except ValidationError:
        return None


@corpus
@given(values)
@often
def test_a_label_in_a_path_stays_where_it_was_put(value: str) -> None:
    params = call(url=f"https://{HOST}/flags/{value}/off?why=label")
    if params is None:
        return
    sent = URL(params.url, encoded=True)
    assert (sent.scheme, sent.host, sent.port, sent.raw_user) == ("https", HOST, 443, None)
    assert sent.raw_fragment == ""
    path = sent.raw_path
    assert path.startswith("/flags/")
    assert re.fullmatch("[!-~]+", params.url)
    for _ in range(6):
        assert not {".", ".."} & set(re.split(r"[/\\;]", path))
        path = unquote(path)
    assert path.isprintable()


@corpus
@given(values)
@often
def test_a_label_in_a_host_is_allowed_only_as_that_host(value: str) -> None:
    for url in (f"https://{value}/x", f"https://{value}.example.org/x", f"https://{HOST}{value}/x"):
        params = call(url=url)
        if params is None or why_not_reachable(params.url, [HOST]):
            continue
        sent = URL(params.url, encoded=True)
        assert (sent.host, sent.port) == (HOST, 443)
        assert origin(params.url) == ("https", HOST, 443)


@corpus
@given(values)
@often
def test_a_label_in_a_header_is_one_header(value: str) -> None:
    for headers in ({"X-Why": value}, {value: "x"}):
        params = call(headers=headers)
        if params is None:
            continue
        wire = aiohttp.http_writer._serialize_headers(
            "PUT / HTTP/1.1", CIMultiDict(params.headers)
        ).decode("ascii")
        assert wire.count("\r\n") == 3
        assert not re.search("[^ -~\r\n]", wire)
        assert "host" not in {name.lower() for name in params.headers}


@corpus
@given(values)
@often
def test_a_label_in_a_body_stays_in_it(value: str) -> None:
    params = call(json={"flag": value, "enabled": False})
    assert params is not None
    body = params.content[0]
    assert body is not None
    assert set(body) < set(range(32, 127))
    text = call(body=value)
    assert text is None or text.content[0] == value.encode()


class Recorded(Exception):
    """The request that would have been sent."""


@corpus
@given(values)
@often
async def test_a_label_in_argo_cd_names_one_application(value: str) -> None:
    asked: list[URL] = []

    class Session:
        def request(self, method: str, url: URL, **options: Any) -> Any:
            asked.append(url)
            raise Recorded

    workshop = Workshop(Path(), argocd=ArgoCD("https://argo.org/cd", "env:T"))
    workshop.secret = lambda reference: "token"
    workshop.session = Session  # type: ignore[method-assign, assignment]
    for fields in (
        {"application": value},
        {"application": "x", "project": value},
        {"application": "x", "app_namespace": value},
    ):
        try:
            place = ArgoCDPlace.model_validate(fields)
        except ValidationError:
            continue
        with pytest.raises(Recorded):
            await Argo(workshop, place).get()
        with pytest.raises(Recorded):
            await Argo(workshop, place).rollback(1, prune=False, dry=True)
        read, order = asked[-2:]
        assert read.raw_path == f"/cd/api/v1/applications/{place.application}"
        assert order.raw_path == f"{read.raw_path}/rollback"
        assert set(read.query) <= {"project", "appNamespace"}
        assert argocd.ArgoCDPlace.model_validate(fields).target.startswith("argocd:")


@corpus
@given(values)
@often
async def test_a_label_in_a_revert_names_one_repository_branch_and_file(value: str) -> None:
    asked: list[URL] = []

    class Session:
        def request(self, method: str, url: URL, **options: Any) -> Any:
            asked.append(url)
            raise Recorded

    workshop = Workshop(Path(), git=GitHosting("gitlab", "https://git.org", "env:T"))
    workshop.secret = lambda reference: "token"
    workshop.session = Session  # type: ignore[method-assign, assignment]
    for field in ("repository", "branch", "commit", "paths"):
        given = [value] if field == "paths" else value
        try:
            params = GitRevertParams.model_validate({"repository": "acme/shop", field: given})
        except ValidationError:
            continue
        gitlab = GitLabProject(workshop, params.repository)
        github = GitHubRepository(workshop, params.repository)
        path = params.paths[0] if params.paths else "x"
        for asking in (
            gitlab.branch(params.branch or "main"),
            gitlab.commit(params.commit or "abcdef0"),
            gitlab._file(path, "abcdef0"),
            github.branch(params.branch or "main"),
        ):
            with pytest.raises(Recorded):
                await asking
        project = f"/api/v4/projects/{params.repository.replace('/', '%2F')}/repository/"
        kinds = ("branches/", "commits/", "files/")
        for url, kind in zip(asked[-4:-1], kinds, strict=True):
            assert url.raw_path.startswith(project + kind)
            assert "/" not in url.raw_path.removeprefix(project + kind), "one segment"
            assert set(url.query) <= {"ref"}
        assert asked[-1].raw_path.startswith(f"/repos/{params.repository}/branches/")
        assert all((url.host, url.raw_fragment) == ("git.org", "") for url in asked)
        assert not {".", ".."} & set(params.repository.split("/")) - {"acme"}


@corpus
@given(values)
@often
def test_a_label_in_helm_is_one_argument_and_no_option(value: str) -> None:
    action = HelmRollback(Workshop(Path()))
    for field in ("release", "namespace"):
        raw = {"release": "shop", "namespace": "prod", field: value}
        try:
            params = HelmRollbackParams.model_validate(raw)
        except ValidationError:
            continue
        argv = action._argv(params, "7")
        assert argv == [
            *("helm", "rollback", params.release, "7", "--namespace", params.namespace),
            *("--wait", "--timeout", "300s"),
        ]
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", value)


@corpus
@given(values)
@often
def test_a_label_in_a_command_is_one_argument_and_no_option(value: str) -> None:
    action = RunCommand(Workshop(Path(), [["ctl", "restart", "*"], ["ctl", "off"]]))
    for argv in (["ctl", "restart", value], [value, "restart", "shop"], ["ctl", value]):
        try:
            params = RunCommandParams(argv=argv)
        except ValidationError:
            continue
        if action.allowed(params) is not None:
            continue
        assert params.argv == argv, "never split, joined or expanded"
        assert argv[0] == "ctl"
        assert argv[1] in ("restart", "off")
        assert argv[-1]
        assert not argv[-1].startswith("-")
        assert shlex.split(shlex.join(params.argv)) == argv


@corpus
@given(values)
@often
def test_a_label_in_a_folder_of_releases_never_leads_upward(value: str) -> None:
    try:
        params = ReleaseRollbackParams(directory=f"/srv/{value}/app", restart=["true"])
    except ValidationError:
        return
    assert os.path.normpath(params.directory).startswith("/srv/")
    target = ReleaseRollback(Workshop(Path())).target(params)
    assert target.startswith("release:/srv/")


@corpus
@given(values)
@often
def test_an_item_is_one_release_and_no_way_elsewhere(value: str) -> None:
    if releases._is_name(value):
        inside = os.path.normpath(f"/srv/app/releases/{value}")
        assert inside == f"/srv/app/releases/{value}"
        assert os.path.dirname(inside) == "/srv/app/releases"


@corpus
@given(values)
@often
def test_a_label_in_a_rollout_is_one_name_in_the_url(value: str) -> None:
    for field in ("namespace", "rollout"):
        raw = {"namespace": "prod", "rollout": "checkout", field: value}
        try:
            params = ArgoRolloutsAbortParams.model_validate(raw)
        except ValidationError:
            continue
        path = argo_rollouts_abort._resource(params).path
        whole = f"/apis/argoproj.io/v1alpha1/namespaces/{params.namespace}/rollouts/"
        assert path == whole + params.rollout
        assert re.fullmatch("[a-z0-9.-]+", value)
        assert value not in {".", ".."}


def test_no_action_here_uses_a_shell() -> None:
    folder = Path(helm_rollback.__file__).parent
    for path in folder.rglob("*.py"):
        source = path.read_text()
        assert "shell=True" not in source
        assert "create_subprocess_shell" not in source
        assert "os.system" not in source
