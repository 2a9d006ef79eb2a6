"""Logging in by OpenID Connect: there and back, whom the claims mean, and what is not believed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from structlog.testing import capture_logs

from daemon.adapters import oidc as adapter
from daemon.adapters.oidc import OpenIdProvider
from daemon.auth_settings import AuthSettings
from tests.contract.calls import nobody
from tests.contract.rig import Rig, rigged
from tests.contract.visitor import PLAIN, Seen, Visitor, give_access
from tests.doubles.oidc import CLIENT, SECRET, Provider, new_key, unsigned
from tests.fakes import START

ADA = {"email": "ada@example.org", "email_verified": True}
SESSION = "stopgap_session"


@dataclass
class Scene:
    """The provider, and our side of it."""

    there: Provider
    rig: Rig

    async def logs_in(
        self, visitor: Visitor | None = None, path: str = "/you", **claims: Any
    ) -> Seen:
        """The whole way; the answer to the browser that came back."""
        visitor = visitor or Visitor(self.rig)
        seen = await visitor.opens(f"/login/oidc?{urlencode({'next': path})}")
        return await visitor.opens(self.there.agrees(seen.went_to, **(claims or ADA)))

    async def refused(self, **claims: Any) -> str:
        """It comes to no login; what the page says."""
        visitor = Visitor(self.rig)
        seen = await self.logs_in(visitor, **claims)
        assert seen.status in {403, 503}, seen.text
        assert visitor.cookies == {}
        assert self.rig.credentials.kept == {}
        assert SECRET not in seen.text
        return seen.page


@asynccontextmanager
async def scene(secret: str | None = SECRET, **options: Any) -> AsyncIterator[Scene]:
    """`options`: of `auth.oidc`."""
    async with AsyncExitStack() as stack:
        there = await stack.enter_async_context(Provider(START).serving())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        given = {"issuer": there.url, "client_id": CLIENT, **options}
        settings = AuthSettings.model_validate({"oidc": given})
        assert settings.oidc is not None
        provider = OpenIdProvider(session, there.url, CLIENT, secret, settings.oidc.scopes)
        rig = await stack.enter_async_context(rigged(settings, provider, PLAIN))
        people = dict(rig.roster.people)
        for name, identity in {"ada": "ada@example.org", "bo": "Bo@Example.org"}.items():
            known_as = people[name].known_as.model_copy(update={"oidc": identity})
            people[name] = people[name].model_copy(update={"known_as": known_as})
        rig.roster = rig.roster.model_copy(update={"people": people})
        yield Scene(there, rig)


@pytest.fixture
async def here() -> AsyncIterator[Scene]:
    async with scene() as found:
        yield found


async def test_there_and_back_again(here: Scene) -> None:
    visitor = Visitor(here.rig)
    form = (await visitor.opens("/login?next=/you")).page
    assert 'href="/login/oidc?next=%2Fyou"' in form
    seen = await here.logs_in(visitor)
    assert seen.went_to == "/you"
    assert list(visitor.cookies) == [SESSION]
    page = (await visitor.opens("/you")).page
    assert "You are <strong>ada</strong>" in page
    assert '<td data-name="By">oidc</td>' in page


async def test_mail_addresses_are_alike_in_capitals(here: Scene) -> None:
    assert (await here.logs_in(email="bo@example.ORG", email_verified=True)).status == 303
    [session] = here.rig.credentials.kept.values()
    assert session.person == "bo"


async def test_whom_the_roster_does_not_know_is_refused_with_the_mend(here: Scene) -> None:
    with capture_logs() as logs:
        page = await here.refused(email="eve@example.org", email_verified=True)
    assert "set `people.NAME.known_as.oidc` to it" in page
    assert [log["event"] for log in logs] == ["login by OpenID Connect failed"]


async def test_a_mail_address_alone_is_no_proof_of_it(here: Scene) -> None:
    assert "did not verify" in await here.refused(email="ada@example.org")
    assert "did not verify" in await here.refused(email="ada@example.org", email_verified=False)


async def test_without_the_claim_it_says_which_is_missing(here: Scene) -> None:
    assert "has no `email`" in await here.refused(name="Ada")
    assert "has no `email`" in await here.refused(email=["ada@example.org"])


async def test_another_claim_and_the_name_in_the_roster() -> None:
    async with scene(claim="preferred_username") as here:
        assert (await here.logs_in(preferred_username="cy")).status == 303
        # Ada is known as something else, so that her name in the roster is not her any more.
        assert (await here.logs_in(preferred_username="ada")).status == 403


async def test_anyone_may_look_if_the_settings_say_so() -> None:
    async with scene(anyone="viewer", claim="sub") as here:
        guest = Visitor(here.rig)
        assert (await here.logs_in(guest, sub="eve|1")).status == 303
        page = (await guest.opens("/you")).page
        assert "eve|1</strong> with the access <strong>viewer" in page
        assert "API token" not in page
        csrf = {"X-CSRF-Token": await guest.csrf()}
        assert (await guest.asks("GET", "/api/v1/incidents")).status == 200
        seen = await guest.asks("POST", f"{here.rig.path}/ack", csrf)
        assert (seen.status, "guests may look" in seen.text) == (403, True)
        made = {"Content-Type": "application/json", **csrf}
        body = json.dumps({"name": "x", "scopes": ["read"]})
        assert (await guest.asks("POST", "/api/v1/tokens", made, body)).status == 403
        # Nobody becomes somebody of the roster by calling themselves so.
        assert (await here.logs_in(sub="ada")).status == 403


async def test_a_guest_is_out_when_the_roster_takes_the_name() -> None:
    async with scene(anyone="viewer", claim="sub") as here:
        guest = Visitor(here.rig)
        await here.logs_in(guest, sub="eve")
        people = dict(here.rig.roster.people)
        here.rig.roster = here.rig.roster.model_copy(
            update={"people": {**people, "eve": people["cy"]}}
        )
        assert (await guest.opens("/you")).status == 303


@pytest.mark.parametrize(
    ("groups", "access"),
    [
        (["ops", "leads"], "admin"),
        ("leads", "admin"),
        (["ops"], "responder"),
        (["other", 7, {}], "viewer"),
        ({"leads": 1}, "viewer"),
        (None, "viewer"),
    ],
)
async def test_groups_raise_the_access_of_the_roster(groups: Any, access: str) -> None:
    async with scene(access={"responder": ["ops"], "admin": ["leads"]}) as here:
        give_access(here.rig, ada="viewer")
        visitor = Visitor(here.rig)
        await here.logs_in(visitor, **ADA, groups=groups)
        assert f"access <strong>{access}" in (await visitor.opens("/you")).page


async def test_a_session_of_before_is_ended(here: Scene) -> None:
    visitor = Visitor(here.rig)
    await visitor.logs_in("", "bo-token")
    before = visitor.cookies[SESSION]
    await here.logs_in(visitor)
    assert visitor.cookies[SESSION] != before
    assert [session.person for session in here.rig.credentials.kept.values()] == ["ada"]


# ── state, code and cookie ───────────────────────────────────────────────────────────────────


async def test_an_answer_serves_once(here: Scene) -> None:
    visitor = Visitor(here.rig)
    seen = await visitor.opens("/login/oidc")
    back, begun = here.there.agrees(seen.went_to, **ADA), dict(visitor.cookies)
    assert (await visitor.opens(back)).status == 303
    assert (await visitor.opens(back)).status == 403  # the browser forgot its half
    again = await Visitor(here.rig, begun).opens(back)  # whoever kept it finds the code used
    assert (again.status, "invalid_grant" in again.text) == (403, True)
    assert "not  this time" in again.page
    assert len(here.rig.credentials.kept) == 1


async def test_somebody_elses_answer_is_not_taken(here: Scene) -> None:
    mallory, victim = Visitor(here.rig), Visitor(here.rig)
    back = here.there.agrees((await mallory.opens("/login/oidc")).went_to, **ADA)
    assert (await victim.opens(back)).status == 403  # never began
    await victim.opens("/login/oidc")
    seen = await victim.opens(back)
    assert (seen.status, "begun in another browser" in seen.page) == (403, True)
    assert victim.cookies == {}
    state = parse_qs(urlsplit(back).query)["state"][0]
    for forged in (state, f'["{state}"]', mallory.cookies["stopgap_oidc"] + "x"):
        assert (await Visitor(here.rig, {"stopgap_oidc": forged}).opens(back)).status == 403


async def test_who_takes_too_long_begins_again(here: Scene) -> None:
    for minutes, status in ((10, 303), (11, 403)):
        visitor = Visitor(here.rig)
        seen = await visitor.opens("/login/oidc")
        here.there.now = here.rig.later(minutes=minutes)
        assert (await visitor.opens(here.there.agrees(seen.went_to, **ADA))).status == status


async def test_the_providers_refusal_is_told(here: Scene) -> None:
    visitor = Visitor(here.rig)
    state = parse_qs(urlsplit((await visitor.opens("/login/oidc")).went_to).query)["state"][0]
    said = {"state": state, "error": "access_denied", "error_description": "<b>no</b>"}
    seen = await visitor.opens(f"/login/oidc/callback?{urlencode(said)}")
    assert seen.status == 403
    assert "refused: access_denied: &lt;b&gt;no&lt;/b&gt;" in seen.page


async def test_another_providers_answer_is_not_taken(here: Scene) -> None:
    visitor = Visitor(here.rig)
    back = here.there.agrees((await visitor.opens("/login/oidc")).went_to, **ADA)
    mixed = back.replace(urlencode({"iss": here.there.url}), "iss=https%3A%2F%2Fevil.example")
    assert mixed != back
    assert (await visitor.opens(mixed)).status == 403


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example"])
async def test_it_leads_to_no_other_site(here: Scene, path: str) -> None:
    assert (await here.logs_in(path=path)).went_to == "/"


# ── the ID token ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"aud": "another"}, "aud"),
        ({"aud": ["another"]}, "aud"),
        ({"aud": [CLIENT, "another"], "azp": "another"}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"aud": None}, "aud"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"sub": None}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": START.timestamp() - 61}, "expired"),
        ({"exp": float("nan")}, "exp"),
        ({"iat": START.timestamp() + 61}, "issued in the future"),
        ({"nbf": START.timestamp() + 61}, "not yet valid"),
    ],
)
async def test_a_token_that_is_not_for_us(here: Scene, claims: dict[str, Any], said: str) -> None:
    here.there.changes = claims
    page = await here.refused()
    assert "the ID token is" in page
    assert said in page


async def test_clocks_may_differ_by_a_minute(here: Scene) -> None:
    at = START.timestamp()
    here.there.changes = {"exp": at - 59, "iat": at + 59, "aud": [CLIENT, "x"], "azp": CLIENT}
    assert (await here.logs_in()).status == 303


def with_shared_secret(claims: dict[str, Any]) -> str:
    key = OctKey.import_key(SECRET)
    return jwt.encode({"alg": "HS256", "kid": "first"}, claims, key, ["HS256"])


def by_somebody_else(claims: dict[str, Any]) -> str:
    return jwt.encode({"alg": "ES256", "kid": "first"}, claims, new_key("first"), ["ES256"])


def tampered(claims: dict[str, Any]) -> str:
    head, _, sign = by_somebody_else(claims).split(".")
    return f"{head}.{unsigned({**claims, 'email': 'bo@example.org'}).split('.')[1]}.{sign}"


@pytest.mark.parametrize(
    "sign", [unsigned, with_shared_secret, by_somebody_else, tampered, lambda _: "no.token", str]
)
async def test_a_token_that_the_provider_did_not_sign(
    here: Scene, sign: Callable[[dict[str, Any]], str]
) -> None:
    here.there.signs = sign
    assert "signature is not good" in await here.refused()


async def test_rotated_keys_are_asked_for_again(here: Scene) -> None:
    await here.logs_in()
    here.there.key = RSAKey.generate_key(2048, {"kid": "second", "use": "sig"})
    here.there.published.append(here.there.key)
    assert (await here.logs_in()).status == 303
    assert (await here.logs_in()).status == 303
    paths = [asked["path"] for asked in here.there.asked]
    assert paths.count("/keys") == 2
    assert paths.count("/.well-known/openid-configuration") == 1


async def test_a_key_that_was_withdrawn_is_not_believed_once_the_keys_are_new(here: Scene) -> None:
    await here.logs_in()
    old = here.there.key
    here.there.key = new_key("second")
    here.there.published = [here.there.key]
    await here.logs_in()
    here.there.key = old
    assert (await here.logs_in()).status == 403


# ── how the provider is asked ────────────────────────────────────────────────────────────────


async def test_the_secret_goes_where_the_provider_wants_it(here: Scene) -> None:
    here.there.about = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await here.logs_in()).status == 303
    assert "Authorization" not in here.there.asked[-2]["headers"]


async def test_a_public_client_has_no_secret() -> None:
    async with scene(secret=None) as here:
        assert (await here.logs_in()).status == 303


async def test_a_wrong_secret_is_told_by_the_provider() -> None:
    async with scene(secret="wrong") as here:
        page = await here.refused()
        assert "answered 401: invalid_client" in page
        assert "wrong" not in page


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"issuer": "https://evil.example"}, "calls itself another issuer"),
        ({"token_endpoint": "ftp://x"}, "token_endpoint is no URL"),
        ({"jwks_uri": None}, "jwks_uri is no URL"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "authorization_endpoint is no URL"),
    ],
)
async def test_a_provider_that_tells_nonsense_of_itself(
    here: Scene, about: dict[str, Any], said: str
) -> None:
    here.there.about = about
    seen = await Visitor(here.rig).opens("/login/oidc")
    assert (seen.status, said in seen.page) == (403, True)


async def test_behind_https_everything_is_https() -> None:
    adapter._check_address("x", "https://a.example/t", "https://a.example")
    with pytest.raises(adapter.Permanent, match="no URL of https"):
        adapter._check_address("x", "http://a.example/t", "https://a.example")


async def test_no_id_token(here: Scene) -> None:
    here.there.answers = {"access_token": "x"}
    assert "gave no ID token" in await here.refused()


@pytest.mark.parametrize(("mood", "status"), [(500, 503), (429, 503), (404, 403), ("hang", 503)])
async def test_a_provider_that_is_down_leaves_the_other_ways(
    here: Scene, monkeypatch: pytest.MonkeyPatch, mood: int | str, status: int
) -> None:
    monkeypatch.setattr(adapter, "TIMEOUT", timedelta(seconds=0.05))
    here.there.mood = mood
    visitor = Visitor(here.rig)
    seen = await visitor.opens("/login/oidc")
    assert seen.status == status
    assert "Your password or token" in seen.page
    assert (await visitor.logs_in("", "ada-token")).status == 303
    here.there.mood = ""
    assert (await here.logs_in(visitor)).status == 303  # it is asked anew


async def test_nobody_listens() -> None:
    async with aiohttp.ClientSession() as session:
        provider = OpenIdProvider(session, nobody(), CLIENT, None, ("openid",))
        with pytest.raises(adapter.Temporary, match="a password or a token still lets you in"):
            await provider.address("http://x/y", "s", "n", "v")


async def test_an_answer_without_end_is_none(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "READ", 1000)
    here.there.about = {"more": "x" * 2000}
    assert (await Visitor(here.rig).opens("/login/oidc")).status == 403


async def test_without_it_there_is_no_such_login() -> None:
    async with rigged(url=PLAIN) as rig:
        visitor = Visitor(rig)
        assert "/login/oidc" not in (await visitor.opens("/login")).page
        for path in ("/login/oidc", "/login/oidc/callback?code=x&state=y"):
            seen = await visitor.opens(path)
            assert (seen.status, "`auth.oidc`" in seen.page) == (404, True)
