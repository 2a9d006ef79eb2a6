"""A trusted reverse proxy says who asks; from anybody else that header is only noise."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.config.auth import AuthSettings, ProxySettings
from tests.contract.rig import BO, Rig, rigged
from tests.contract.visitor import PLAIN, Visitor, give_access

HEADER = "X-Forwarded-User"
AS_ADA = {HEADER: "ada"}


def trusting(*networks: str, header: str | None = HEADER) -> AuthSettings:
    return AuthSettings.model_validate({"proxy": {"header": header, "from": networks}})


async def who(rig: Rig, headers: Any) -> tuple[int, Any]:
    return await rig.asks("GET", "/api/v1/me", headers)


async def test_by_default_no_header_is_believed() -> None:
    async with rigged() as rig:
        assert (await who(rig, AS_ADA))[0] == 401


async def test_a_spoofed_header_from_elsewhere_is_ignored() -> None:
    async with rigged(trusting("10.0.0.0/8", "::1/128")) as rig:
        assert (await who(rig, AS_ADA))[0] == 401
        forged = {**AS_ADA, "X-Forwarded-For": "10.0.0.1", "Forwarded": "for=10.0.0.1"}
        assert (await who(rig, forged))[0] == 401
        seq = rig.seq
        assert (await rig.does("ack", forged))[0] == 401
        assert rig.seq == seq


async def test_the_proxys_word_is_an_identity_of_the_roster() -> None:
    async with rigged(trusting("127.0.0.0/8")) as rig:
        give_access(rig, ada="viewer")
        status, found = await who(rig, AS_ADA)
        me = found["me"]
        assert (status, me["person"], me["via"], me["access"]) == (200, "ada", "proxy", "viewer")
        assert (await who(rig, {}))[0] == 401
        assert (await who(rig, {HEADER: ""}))[0] == 401
        status, problem = await who(rig, {HEADER: "Ada"})  # names are exact
        assert status == 403
        assert problem["detail"] == (
            "the proxy says you are Ada, whom the roster does not know: set "
            "`people.NAME.known_as.oidc` to it"
        )
        assert (await who(rig, {**AS_ADA, **BO}))[1]["me"]["person"] == "bo"


async def test_a_header_that_came_twice_names_nobody() -> None:
    async with rigged(trusting("127.0.0.1")) as rig:
        status, problem = await who(rig, [(HEADER, "ada"), (HEADER, "bo")])
        assert status == 403
        assert "ada and bo" in problem["detail"]


async def test_known_as_is_explicit() -> None:
    async with rigged(trusting("127.0.0.1")) as rig:
        people = dict(rig.roster.people)
        known_as = people["ada"].known_as.model_copy(update={"oidc": "ada@example.org"})
        people["ada"] = people["ada"].model_copy(update={"known_as": known_as})
        rig.roster = rig.roster.model_copy(update={"people": people})
        assert (await who(rig, AS_ADA))[0] == 403
        assert (await who(rig, {HEADER: "Ada@Example.org"}))[0] == 200
        assert (await who(rig, {HEADER: "bo"}))[0] == 200


async def test_a_deed_through_the_proxy_needs_the_csrf_token_too() -> None:
    async with rigged(trusting("127.0.0.1"), url=PLAIN) as rig:
        visitor = Visitor(rig)
        page = (await visitor.opens("/you", AS_ADA)).page
        assert "Log out" not in page
        found = re.search(r'name="csrf" value="([^"]+)"', page)
        assert found is not None
        ack = f"{rig.path}/ack"
        assert (await visitor.asks("POST", ack, AS_ADA)).status == 403
        csrf = {"X-CSRF-Token": found[1]}
        evil = {"Origin": "https://evil.example", **csrf, **AS_ADA}
        assert (await visitor.asks("POST", ack, evil)).status == 403
        assert (await visitor.asks("POST", ack, {HEADER: "bo", **csrf})).status == 403
        seq = rig.seq
        assert (await visitor.asks("POST", ack, {**csrf, **AS_ADA})).status == 200
        assert {entry.by for entry in rig.journal.entries[rig.id][seq:]} == {"person:ada"}


async def test_a_session_goes_before_the_proxys_word() -> None:
    async with rigged(trusting("127.0.0.1"), url=PLAIN) as rig:
        visitor = Visitor(rig)
        assert (await visitor.logs_in("", "bo-token")).status == 303
        assert "You are <strong>bo</strong>" in (await visitor.opens("/you", AS_ADA)).page


async def test_a_proxy_that_knows_nobody_names_nobody() -> None:
    auth = AuthSettings.model_validate({"proxy": {"from": ["127.0.0.1"]}})
    async with rigged(auth) as rig:
        assert (await who(rig, AS_ADA))[0] == 401
        assert (await who(rig, {**AS_ADA, **BO}))[1]["me"]["person"] == "bo"


@pytest.mark.parametrize("header", [HEADER, None])
async def test_beyond_the_proxy_each_address_has_its_own_throttle(header: str | None) -> None:
    trusted = trusting("127.0.0.1", "10.0.0.0/8", header=header)
    async with rigged(trusted, url=PLAIN) as rig:

        async def guesses(address: str) -> int:
            return (await Visitor(rig).logs_in("", "x", **{"X-Forwarded-For": address})).status

        # What the visitor wrote into the header itself, at the left, is not believed.
        found = [await guesses(f"1.2.3.{n}, 192.0.2.7, 10.0.0.1") for n in range(6)]
        assert found == [401] * 5 + [429]
        for number in range(15):
            rig.later(minutes=11)  # the name `` is free again, the address is another each time
            assert await guesses(f"192.0.2.{number + 20}") == 401


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("::1", False),
        ("fe80::1%eth0", True),
        ("", False),
        (None, False),
        ("proxy", False),
    ],
)
def test_whom_it_trusts(peer: str | None, trusted: bool) -> None:
    proxy = trusting("10.0.0.0/8", "fe80::/64").proxy
    assert proxy is not None
    assert proxy.trusts(peer) is trusted


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("0.0.0.0/0", "everybody"),
        ("::/0", "everybody"),
        ("10.0.0.1/8", "is no network; write it like 10.0.3.0/24"),
        ("proxy.example", "is no network"),
    ],
)
def test_a_trust_too_wide_or_unclear_is_a_mistake(network: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ProxySettings.model_validate({"header": HEADER, "from": [network]})
