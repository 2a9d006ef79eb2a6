"""Rotating the keys while the daemon runs: what becomes of the links and logins that are out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from daemon.config.auth import AuthSettings
from daemon.web.links.signed_links import VALID, BadLink, SignedLinks
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.visitor import (
    PLAIN,
    Visitor,
    give_access,
    give_passwords,
    give_token,
)
from tests.credentials import keys_of
from tests.fakes import START

ROTATED = "The keys were rotated since, so this link is not valid any more. Use a newer page"
OLD = "older than a day"
FORGED = "This link is not valid"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged(url=PLAIN) as found:
        give_access(found, ada="admin")
        give_passwords(found, "ada", "bo")
        yield found


async def rotate(rig: Rig, *, revoke: bool = False) -> list[dict[str, Any]]:
    status, answer = await rig.asks(
        "POST", "/api/v1/keys/rotate", ADA, json={"revoke": revoke} if revoke else {}
    )
    assert status == 200, answer
    found: list[dict[str, Any]] = answer["keys"]
    return found


def document_of(rig: Rig) -> str:
    return urlsplit(rig.links.document(rig.id)).path


def nameless(rig: Rig) -> str:
    """A page's link as a stopgap made it whose keys had no ids; its key is the first of the rig."""
    rig.keys.current = keys_of("a key of the store", nameless=True)
    path = urlsplit(rig.links.for_page(rig.id, "r0.t0.ada")).path
    return path.replace("0123abcd.", "")


async def test_links_are_valid_across_a_rotation_and_new_ones_name_the_new_key(rig: Rig) -> None:
    before, document = await rig.calls("ada"), document_of(rig)
    [new, old] = await rotate(rig)
    after = await rig.calls("bo")
    assert before.startswith(f"/a/{old['id']}.")
    assert after.startswith(f"/a/{new['id']}.")
    assert document_of(rig).startswith(f"/d/{new['id']}.")
    await rig.gets(document)
    assert "you are the Commander" in await rig.taps(before, deed="ack")
    await rig.taps(after, deed="ack")
    assert (await rig.incident()).responders == ("ada", "bo")


async def test_revoked_keys_void_every_link_at_once_and_say_what_to_do(rig: Rig) -> None:
    link, document = await rig.calls(), document_of(rig)
    await rotate(rig, revoke=True)
    seq = rig.seq
    for page in (
        await rig.gets(link, 410),
        await rig.taps(link, 410, deed="ack"),
        await rig.gets(document, 410),
    ):
        assert ROTATED in page
    assert rig.seq == seq
    assert "you are the Commander" in await rig.taps(await rig.calls(page="r1"), deed="ack")
    await rig.gets(document_of(rig))


async def test_who_has_a_revoked_key_forges_nothing(rig: Rig) -> None:
    """With the key, that any local user could read, somebody became Commander."""
    await rig.calls()
    stolen = rig.keys.current
    forger = SignedLinks(lambda: stolen, PLAIN, lambda: rig.now, timedelta(days=90))
    forged = urlsplit(forger.for_page(rig.id, "r0.t0.ada")).path
    await rig.gets(forged)
    await rotate(rig, revoke=True)
    relabelled = forged.replace(stolen.signing.id, rig.keys.current.signing.id)
    for link, status in ((forged, 410), (relabelled, 403), (forged.replace("0123abcd.", ""), 403)):
        await rig.taps(link, status, deed="ack")
    assert (await rig.incident()).commander == ""


async def test_a_rotated_key_verifies_no_page_that_it_signs_a_day_later(rig: Rig) -> None:
    await rig.calls()
    stolen = rig.keys.current
    forger = SignedLinks(lambda: stolen, PLAIN, lambda: rig.now, timedelta(days=90))
    await rotate(rig)
    rig.later(hours=24)
    await rig.gets(urlsplit(forger.for_page(rig.id, "r0.t0.ada")).path)
    rig.later(seconds=1)
    assert OLD in await rig.gets(urlsplit(forger.for_page(rig.id, "r0.t0.ada")).path, 410)


async def test_documents_open_by_a_rotated_key_for_its_grace(rig: Rig) -> None:
    document = document_of(rig)
    rig.later(days=200)
    await rig.gets(document)  # its link has no end as long as the key signs
    await rotate(rig)
    rig.later(days=90)
    await rig.gets(document)
    rig.later(seconds=1)
    assert ROTATED in await rig.gets(document, 410)
    [_, key] = (await rig.asks("GET", "/api/v1/keys", ADA))[1]["keys"]
    assert key["standing"] == "over"


async def test_two_rotations_keep_the_links_of_both_keys_before(rig: Rig) -> None:
    links = [await rig.calls("ada")]
    for person in ("bo", "cy"):
        await rotate(rig)
        links.append(await rig.calls(person))
    assert len({link.partition(".")[0] for link in links}) == 3
    for link in links:
        await rig.taps(link, deed="ack")
    assert (await rig.incident()).responders == ("ada", "bo", "cy")


async def test_a_link_is_taken_from_the_key_that_it_names_alone(rig: Rig) -> None:
    link = await rig.calls()
    [new, old] = await rotate(rig)
    token = link.removeprefix(f"/a/{old['id']}.")
    for wrong in (new["id"], "deadbeef", old["id"].upper(), old["id"][:-1], f"{old['id']}0", ""):
        assert FORGED in await rig.gets(f"/a/{wrong}.{token}", 403)
    assert FORGED in await rig.gets(f"/a/{token}", 403)
    await rig.gets(link)


async def test_links_from_before_keys_had_ids_are_valid_until_their_key_is_rotated_out(
    rig: Rig,
) -> None:
    await rig.calls()
    link = nameless(rig)
    await rig.gets(link)
    await rotate(rig)
    await rotate(rig)
    await rig.gets(link)
    rig.later(hours=24, seconds=1)
    assert OLD in await rig.gets(link, 410)


async def test_links_from_before_keys_had_ids_are_void_when_their_key_is_revoked(rig: Rig) -> None:
    await rig.calls()
    link = nameless(rig)
    await rotate(rig, revoke=True)
    assert ROTATED in await rig.gets(link, 410)


async def test_logins_and_open_pages_live_through_a_rotation(rig: Rig) -> None:
    ada = Visitor(rig)
    await ada.logs_in()
    csrf = await ada.csrf()
    await rotate(rig)
    assert await ada.csrf() != csrf
    path = f"/incidents/{rig.id}/do/note"
    assert (await ada.sends(path, csrf=csrf, text="from a page of before")).status == 303
    assert (await ada.sends(path, csrf="0" * 64, text="from elsewhere")).status == 403
    rig.later(hours=11)
    assert (await ada.opens("/you")).status == 200


async def test_revoking_ends_every_login(rig: Rig) -> None:
    ada = Visitor(rig)
    await ada.logs_in()
    await rotate(rig, revoke=True)
    assert (await ada.opens("/you")).went_to.startswith("/login")
    await ada.logs_in()
    assert (await ada.opens("/you")).status == 200


async def test_only_admins_see_and_rotate_keys_and_nobody_sees_a_secret(rig: Rig) -> None:
    robot = await give_token(rig, "ada", "respond")
    for headers, status in (({}, 401), (BO, 403), (robot, 403)):
        assert (await rig.asks("GET", "/api/v1/keys", headers))[0] == status
        assert (await rig.asks("POST", "/api/v1/keys/rotate", headers, json={}))[0] == status
    assert len(rig.keys.current.keys) == 1
    admin = await give_token(rig, "ada", "admin")
    status, answer = await rig.asks("POST", "/api/v1/keys/rotate", admin, json={})
    assert status == 200
    assert (await rig.asks("GET", "/api/v1/keys", ADA))[1] == answer
    now = rig.now.isoformat()
    assert answer["keys"] == [
        {
            "id": "00000001",
            "standing": "signs",
            "made_at": now,
            "made_by": "ada",
            "retired_at": None,
            "retired_by": "",
        },
        {
            "id": "0123abcd",
            "standing": "verifies",
            "made_at": None,
            "made_by": "",
            "retired_at": now,
            "retired_by": "ada",
        },
    ]


async def test_a_store_that_does_not_answer_changes_nothing(rig: Rig) -> None:
    link = await rig.calls()
    rig.keys.failing = True
    status, problem = await rig.asks("POST", "/api/v1/keys/rotate", ADA, json={"revoke": True})
    assert (status, len(rig.keys.current.keys)) == (503, 1), problem
    await rig.gets(link)


# As a stopgap made them whose keys had no ids, at START with "a key of the store".
PAGE = "WyJpbmMtMSIsInIwLnQwLmFkYSJd.awRG4A.K-quqsHUahtgEX2CkD64a1rwO7z1aLS5l-AlzSB8mG0"
DOCUMENT = "WyJpbmMtMSJd.lvDwZGvw1CC5dhftmxqmipGyUBdiM0ua6NKWe39hpnE"


def test_tokens_that_an_earlier_stopgap_made_are_read() -> None:
    keys = keys_of("a key of the store", nameless=True)
    links = SignedLinks(lambda: keys, PLAIN, lambda: START + VALID, timedelta(days=90))
    assert links.read_page(PAGE) == ("inc-1", "r0.t0.ada")
    assert links.read_document(DOCUMENT) == "inc-1"
    keys = keys_of("a key of the store")
    for read, token in ((links.read_page, PAGE), (links.read_document, DOCUMENT)):
        with pytest.raises(BadLink, match="the link is unknown"):
            read(token)


def test_no_grace_is_shorter_than_the_links_in_pages_live() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1 day"):
        AuthSettings(key_grace=VALID - timedelta(seconds=1))
