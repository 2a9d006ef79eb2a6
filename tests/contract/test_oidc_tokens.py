"""OpenID Connect: which ID tokens are believed, and how the provider is asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from daemon.adapters import oidc
from daemon.adapters.oidc import OpenIdProvider
from tests.contract.calls import nobody
from tests.contract.oidc_scene import Scene, scene
from tests.contract.visitor import Visitor
from tests.doubles.oidc import CLIENT, SECRET, new_key, unsigned
from tests.fakes import START


@pytest.fixture
async def here() -> AsyncIterator[Scene]:
    async with scene() as found:
        yield found


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
    oidc._check_address("x", "https://a.example/t", "https://a.example")
    with pytest.raises(oidc.Permanent, match="no URL of https"):
        oidc._check_address("x", "http://a.example/t", "https://a.example")


async def test_no_id_token(here: Scene) -> None:
    here.there.answers = {"access_token": "x"}
    assert "gave no ID token" in await here.refused()


@pytest.mark.parametrize(("mood", "status"), [(500, 503), (429, 503), (404, 403), ("hang", 503)])
async def test_a_provider_that_is_down_leaves_the_other_ways(
    here: Scene, monkeypatch: pytest.MonkeyPatch, mood: int | str, status: int
) -> None:
    monkeypatch.setattr(oidc, "TIMEOUT", timedelta(seconds=0.05))
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
        with pytest.raises(oidc.Temporary, match="a password or a token still lets you in"):
            await provider.address("http://x/y", "s", "n", "v")


async def test_an_answer_without_end_is_none(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc, "_READ", 1000)
    here.there.about = {"more": "x" * 2000}
    assert (await Visitor(here.rig).opens("/login/oidc")).status == 403
