"""Every route of the application, by its own list, is held to the written table of who may what:
with no credentials, wrong ones, lesser and right ones, from this machine and from elsewhere."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from daemon.config.auth import AuthSettings
from daemon.core.people.access import LEVELS, NEEDED, Access
from daemon.core.people.scopes import SCOPES
from daemon.web.auth.webhook_secrets import TOKEN_HEADER
from daemon.web.links.pages import LINK_HEADERS
from daemon.web.request_log import SEALS
from daemon.web.site.layout import SITE_HEADERS
from tests.contract.rig import ADA, BO, HOOK, Rig, rigged, signature
from tests.contract.visitor import FORM, Visitor, give_access, give_passwords, give_token

TABLE = Path(__file__).parents[1] / "data" / "routes.txt"
PROXIED = AuthSettings.model_validate({"proxy": {"from": ["127.0.0.1/32"]}})
"""With a proxy on this machine, so that a request can say that it comes from elsewhere."""
BY_ACCESS: Mapping[Access, str] = {"viewer": "cy", "responder": "ada", "admin": "bo"}
TOKENS = {"viewer": {"Authorization": "Bearer cy-token"}, "responder": ADA, "admin": BO}
HOOK_NAMES = ("pagerduty", "slack", "grafana-oncall", "opsgenie")


def table() -> dict[tuple[str, str], str]:
    """Who may, by method and path."""
    lines = (line.split() for line in TABLE.read_text(encoding="utf-8").splitlines())
    return {(line[0], line[1]): line[2] for line in lines if line and line[0] != "#"}


ROUTES = table()


@dataclass(frozen=True)
class Attempt:
    """Somebody tries. `kind` is what their credentials are: none, wrong, the access of a person,
    `token:SCOPE`, `webhook`, `hook:NAME`. `local`: from this machine."""

    kind: str
    headers: dict[str, str] = field(default_factory=dict)
    local: bool = False


def may(who: str, kind: str) -> bool:
    """Whether the table lets such credentials in."""
    needs, _, scope = who.partition("+")
    if needs in {"open", "login"}:
        return True
    if needs.startswith(("webhook:", "hook:")):
        return kind in {needs, needs.replace("webhook:", "token:")} or (
            kind == "webhook" and needs.startswith("webhook:")
        )
    if needs == "anybody":
        return kind in LEVELS or kind.startswith("token:")
    if needs == "link":
        return False
    if needs == "self":
        return kind in LEVELS
    allowed = LEVELS[LEVELS.index(needs) :]  # type: ignore[arg-type]
    by_scope = {"viewer": "read", "responder": "respond", "admin": "admin"}
    return kind in {*allowed, *(f"token:{by_scope[level]}" for level in allowed), f"token:{scope}"}


_elsewhere = (f"2001:db8:0:{number:x}::1" for number in itertools.count(1))


class Doors(Rig):
    """A rig at whose doors everybody knocks."""

    async def sessions(self) -> dict[str, Visitor]:
        """Somebody of each access, logged in."""
        give_passwords(self, *BY_ACCESS.values())
        found = {}
        for access, name in BY_ACCESS.items():
            found[access] = Visitor(self)
            await found[access].logs_in(name)
        return found

    async def attempts(self, body: bytes) -> list[Attempt]:
        """All credentials that there are, and none."""
        stamp = str(int(self.now.timestamp()))
        signed = f"v0:{stamp}:".encode() + body
        slack = {
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signature('slack-secret', signed)}",
        }
        found = [
            Attempt("none", local=True),
            Attempt("none"),
            Attempt("wrong", {"Authorization": "Bearer stopgap_nobody"}),
            Attempt("wrong", {"Authorization": "Bearer ada-token2"}),
            Attempt("wrong", {"Authorization": "Basic YWRhOmFkYS10b2tlbg=="}),  # ada:ada-token
            Attempt("wrong", {"Cookie": "__Host-stopgap=abc.def; stopgap_session=abc.def"}),
            Attempt("wrong", {"X-Forwarded-User": "bo", "X-Remote-User": "bo"}),
            Attempt("wrong", {TOKEN_HEADER: "hook-token"}),
            Attempt("wrong", {**slack, "X-Slack-Signature": f"v0={'0' * 64}"}),
            Attempt("wrong", {"X-PagerDuty-Signature": f"v1={'0' * 64}"}),
            Attempt("webhook", HOOK),
            Attempt("hook:slack", slack),
            Attempt("hook:pagerduty", {"X-PagerDuty-Signature": f"v1={signature('pd-new', body)}"}),
            Attempt("hook:grafana-oncall", {TOKEN_HEADER: "oncall-secret"}),
            Attempt("hook:opsgenie", {TOKEN_HEADER: "genie-secret"}),
            *(Attempt(level, TOKENS[level]) for level in LEVELS),
        ]
        for scope in SCOPES:
            header = {"Authorization": f"Bearer stopgap_bo-{scope}"}
            found.append(Attempt(f"token:{scope}", header))
        return found

    async def tries(
        self, method: str, path: str, attempt: Attempt, body: bytes, media: str
    ) -> tuple[bool, str]:
        """Whether somebody is let in; and what there is to say if that is wrong."""
        headers = {"Content-Type": media, **attempt.headers}
        if not attempt.local:
            headers["X-Forwarded-For"] = next(_elsewhere)
        url = self.client.make_url("/").with_path(path, encoded=True)
        answer = await self.client.session.request(
            method, url, headers=headers, data=body, allow_redirects=False
        )
        where = answer.headers.get("Location", "")
        answer.close()
        sent_to_login = answer.status == 303 and where.startswith("/login")
        login = path == "/login"
        refused = answer.status in {401, 403} or (sent_to_login and path != "/logout")
        assert answer.status != 500, (method, path, attempt.kind)
        assert answer.status != 429 or login, (method, path, attempt.kind)
        came = "this machine" if attempt.local else "elsewhere"
        said = f"{method} {path} with {attempt.kind} from {came}: {answer.status} {where}"
        return login or not refused, said


@pytest.fixture
async def doors() -> AsyncIterator[Doors]:
    async with rigged(PROXIED, make=Doors) as rig:
        give_access(rig, cy="viewer", ada="responder", bo="admin")
        for scope in SCOPES:
            await give_token(rig, "bo", scope)
        yield rig


def concrete(rig: Doors, path: str) -> str:
    """A path of a route, for the incident that there is."""
    for name, value in {"{four}": "/", "{one}": "/", "{two}": "/", "{three}": "/"}.items():
        path = path.replace(name, value)
    return re.sub(r"\{[a-z]+\}", "x", path.replace("{id}", rig.id))


def sent_to(path: str) -> tuple[bytes, str]:
    """What is sent to a route: an empty object, or an empty form."""
    content = {
        # What is allowed is looked at after the content in these.
        "/api/v1/incidents/{id}/findings": {"text": "full", "source": "robot", "link": "https://r"},
        "/api/v1/tokens": {"name": "ci", "scopes": ["read"]},
    }.get(path)
    if content is not None:
        return json.dumps(content).encode(), "application/json"
    machine = path.startswith(("/api/", "/-/", "/{one}")) and "slack" not in path
    return (b"{}", "application/json") if machine else (b"x=y", FORM["Content-Type"])


def test_every_route_has_its_line_and_every_line_its_route() -> None:
    """The list is the application's own; see `test_everybody_is_let_in_where_they_may`."""
    assert len(ROUTES) > 130
    known = {"open", "login", "self", "anybody", "link", *LEVELS, "responder+findings"}
    known |= {f"webhook:{scope}" for scope in NEEDED} | {f"hook:{name}" for name in HOOK_NAMES}
    assert set(ROUTES.values()) <= known


async def test_everybody_is_let_in_where_they_may_and_nowhere_else(doors: Doors) -> None:
    wrong = []
    listed = [(r.method, r.resource) for r in doors.client.server.app.router.routes()]  # type: ignore[union-attr]
    routes = {(method, found.canonical) for method, found in listed if found is not None}
    for method, path in sorted(routes):
        who = ROUTES.get(("GET" if method == "HEAD" else method, path))
        assert who is not None, f"{method} {path}: say in {TABLE} who may"
        body, media = sent_to(path)
        everybody = await doors.attempts(body)
        if not who.startswith("hook"):  # there alone a forged signature is one more wrong one
            everybody = [one for one in everybody if "Signature" not in str(one.headers)]
        for attempt in everybody if method != "HEAD" else everybody[:2]:
            let_in, said = await doors.tries(method, concrete(doors, path), attempt, body, media)
            if let_in != may(who, attempt.kind):
                wrong.append(f"{said}; by the table: {who}")
    assert wrong == []
    assert set(ROUTES) == {(method, path) for method, path in routes if method != "HEAD"}


CHANGES = [
    (method, path)
    for (method, path), who in ROUTES.items()
    if method != "GET" and who.partition("+")[0] in {"anybody", "self", *LEVELS}
]
"""What a browser's session does."""


async def test_a_session_does_nothing_without_the_token_of_its_pages(doors: Doors) -> None:
    """Each change, with everything that another site can make a browser send."""
    wrong = []
    browser = (await doors.sessions())["admin"]
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    csrf = await browser.csrf()
    for method, path in sorted(CHANGES):
        at = concrete(doors, path)
        own, foreign = {"Origin": "https://stopgap.example"}, {"Origin": "https://evil.example"}
        tried = {
            "no token": ({}, {}),
            "a wrong token": ({}, {"csrf": "0" * 64}),
            "a wrong header": ({"X-CSRF-Token": "0" * 64}, {"csrf": csrf}),
            "another site's page": (foreign, {"csrf": csrf}),
            "no origin to tell": ({"Origin": "null"}, {"csrf": csrf}),
            "another site's fetch": ({"Sec-Fetch-Site": "cross-site"}, {"csrf": csrf}),
            "its own page": (own, {"csrf": csrf}),
        }
        for name, (headers, fields) in tried.items():
            sent = {"Cookie": cookie, **FORM, **headers}
            if name == "its own page":
                sent["X-CSRF-Token"] = csrf
            attempt = Attempt(name, sent)
            let_in, said = await doors.tries(
                method, at, attempt, urlencode(fields).encode(), FORM["Content-Type"]
            )
            if let_in != (name == "its own page"):
                wrong.append(said)
    assert wrong == []


async def test_a_session_may_what_its_person_may(doors: Doors) -> None:
    wrong = []
    browsers = await doors.sessions()
    tokens = {access: await browser.csrf() for access, browser in browsers.items()}
    for (method, path), who in sorted(ROUTES.items()):
        if who.startswith(("open", "login", "link", "webhook", "hook")):
            continue
        for access, browser in browsers.items():
            cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
            headers = {"Cookie": cookie, "X-CSRF-Token": tokens[access]}
            body, media = sent_to(path)
            if media == FORM["Content-Type"]:
                body = urlencode({"csrf": tokens[access]}).encode()
            let_in, said = await doors.tries(
                method, concrete(doors, path), Attempt(access, headers), body, media
            )
            if let_in != may(who, access):
                wrong.append(f"{said}; by the table: {who}")
    assert wrong == []


async def test_a_login_is_not_begun_by_another_site(doors: Doors) -> None:
    give_passwords(doors, "ada")
    visitor = Visitor(doors)
    assert (await visitor.logs_in("ada", Origin="https://evil.example")).status == 403
    assert visitor.cookies == {}


async def test_a_link_is_good_for_its_own_page_alone(doors: Doors) -> None:
    page, document = await doors.calls("ada"), doors.links.document(doors.id)
    document = document[document.index("/d/") :]
    for path in (page, document):
        assert (await doors.client.get(path)).status == 200
        kind, token = path[:3], path[3:]
        other = {"/a/": "/d/", "/d/": "/a/"}[kind]
        assert (await doors.client.get(other + token)).status == 403
        changed = token[:-1] + ("A" if token[-1] != "A" else "B")
        for wrong in (changed, token[:-1], token + "A", "", "x", token.replace(".", "..", 1)):
            assert (await doors.client.get(kind + wrong)).status in {403, 404}
            assert (await doors.client.post(kind + wrong, data=b"")).status in {403, 404, 405}
        for header in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"__Host-stopgap={token}"}):
            answer = await doors.client.get("/api/v1/incidents", headers=header)
            assert answer.status == 401


@pytest.mark.parametrize("scope", SCOPES)
async def test_no_token_makes_one_that_may_more(doors: Doors, scope: str) -> None:
    header = {"Authorization": f"Bearer stopgap_bo-{scope}"}
    wanted = {"name": "more", "scopes": [other for other in SCOPES if other != scope]}
    status, _ = await doors.asks("POST", "/api/v1/tokens", header, json=wanted)
    assert status == 403
    assert len(doors.credentials.known) == len(SCOPES)


async def test_without_a_secret_alerts_are_taken_from_this_machine_alone(doors: Doors) -> None:
    doors.webhook = None
    taken = [(m, p) for (m, p), who in ROUTES.items() if who.startswith("webhook:")]
    for method, path in taken:
        for attempt in (
            Attempt("none", local=True),
            Attempt("elsewhere"),
            Attempt("a browser", {"Origin": "http://127.0.0.1:9393"}, local=True),
            Attempt("a proxy", {"Forwarded": "for=203.0.113.9"}, local=True),
        ):
            let_in, said = await doors.tries(
                method, concrete(doors, path), attempt, b"{}", "application/json"
            )
            assert let_in == (attempt.kind == "none"), said


@pytest.mark.parametrize("access", [None, *LEVELS])
async def test_each_page_says_how_it_may_be_used(doors: Doors, access: Access | None) -> None:
    headers = {} if access is None else TOKENS[access]
    for path in sorted(path for method, path in ROUTES if method == "GET"):
        async with doors.client.get(
            concrete(doors, path), headers=headers, allow_redirects=False
        ) as answer:
            sent, html = answer.headers, answer.content_type == "text/html"
        for name in SEALS:
            assert name in sent, (path, name)
        assert sent["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in sent["Content-Security-Policy"], path
        assert sent["Content-Security-Policy"].startswith("default-src 'none'"), path
        assert sent["Referrer-Policy"] in {"no-referrer", "same-origin"}
        if not path.startswith("/static/"):
            assert re.search("no-store|no-cache|private", sent["Cache-Control"]), path
        if html and not path.startswith("/api/"):
            expected = LINK_HEADERS if path.startswith(("/a/", "/d/")) else SITE_HEADERS
            for name in ("X-Frame-Options", "Referrer-Policy", "Cache-Control", "X-Robots-Tag"):
                assert sent.get(name) == expected.get(name), (path, name)
