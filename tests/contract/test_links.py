"""The links in pages: a look changes nothing, a tap counts once, and nobody else's passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from daemon.core.incident import events as e
from daemon.web.links.signed_links import SignedLinks
from tests.contract.rig import ADA, BO, MAX_BODY, URL, Rig, rigged
from tests.contract.visitor import give_access
from tests.credentials import keys_of

ACK = 'value="ack"'


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


async def asked(rig: Rig) -> str:
    """Ada commands and asks Bo to communicate; the path of Bo's link."""
    await rig.does("ack")
    await rig.does("roles/communicator", person="bo")
    return path_of(rig, "role-communicator.1.bo")


async def drafted(rig: Rig) -> str:
    """A draft waits for Ada; the path of her link."""
    await rig.does("ack")
    await rig.does("updates", audience="room")
    return await rig.calls("ada", page="update-room.1.ada", asks="send", about="room.1")


def path_of(rig: Rig, page: str) -> str:
    return urlsplit(rig.links.for_page(rig.id, page)).path


async def test_a_look_changes_nothing_however_often(rig: Rig) -> None:
    link = await rig.calls()
    seq = rig.seq
    for _ in range(3):
        page = await rig.gets(link)
        head = await rig.client.head(link)
        assert (head.status, await head.read()) == (200, b"")
        assert head.headers["Cache-Control"] == "no-store"
    assert rig.seq == seq
    assert ACK in page
    assert "I am on it" in page
    assert "Commander</dt><dd>nobody" in page
    assert "CheckoutSuccessRateLow" in page


async def test_one_tap_commands_and_the_link_has_served(rig: Rig) -> None:
    link = await rig.calls()
    seq = rig.seq
    page = await rig.taps(link, deed="ack")
    assert "you are the Commander" in page
    assert await rig.kinds(seq) == ["ResponderArrived", "CommanderAppointed", "LinkUsed"]
    entries = rig.journal.entries[rig.id][seq:]
    assert {entry.by for entry in entries} == {"person:ada"}
    assert entries[0].event.via == "link"
    seq = rig.seq
    for page in (await rig.taps(link, 410, deed="ack"), await rig.gets(link, 410)):
        assert "This link has served; use the command line, or ask for a new page." in page
    assert rig.seq == seq


async def test_taps_at_the_same_moment_count_once(rig: Rig) -> None:
    link = await rig.calls()
    answers = await asyncio.gather(*(rig.client.post(link, data={"deed": "ack"}) for _ in "1234"))
    assert sorted(answer.status for answer in answers) == [200, 410, 410, 410]
    assert (await rig.kinds()).count("LinkUsed") == 1


async def test_a_commander_gives_a_sign_of_life(rig: Rig) -> None:
    await rig.does("ack")
    link = await rig.calls("ada", page="alive-1.ada", asks="alive")
    await rig.happens(e.CommanderAsked(person="ada", until=rig.later(minutes=3)))
    await rig.taps(link, deed="ack")
    assert (await rig.incident()).people.sign_of_life_request is None


async def test_a_question_is_answered_with_yes_or_no(rig: Rig) -> None:
    link = await asked(rig)
    page = await rig.gets(link)
    assert "ada asks you to be Communicator" in page
    assert "Who is in: ada" in page
    assert ">Yes</button>" in page
    assert ">No</button>" in page
    page = await rig.taps(link, deed="yes")
    assert "You said yes. Communicator: bo." in page
    assert (await rig.incident()).people.holder("communicator") == "bo"


async def test_no_is_an_answer_and_a_settled_question_is_none(rig: Rig) -> None:
    link = await asked(rig)
    assert "You said no. Communicator: nobody." in await rig.taps(link, deed="no")
    await rig.does("roles/communicator", person="bo")
    second = path_of(rig, "role-communicator.2.bo")
    await rig.does("requests/communicator.2", BO, accept=True)
    assert "This question is settled: accepted." in await rig.taps(second, 410, deed="no")


async def test_a_draft_is_sent_as_it_stands(rig: Rig) -> None:
    link = await drafted(rig)
    page = await rig.gets(link)
    text = (await rig.incident()).updates.by_name["room.1"].text
    assert text.partition("\n")[0] in page
    sent = text.replace("\n", "\r\n")  # as browsers do
    page = await rig.taps(link, deed="send", revision="1", text=sent)
    assert "The update goes out now." in page
    update = (await rig.incident()).updates.by_name["room.1"]
    assert (update.text, update.released_by) == (text, "ada")
    seq = rig.seq
    again = await rig.calls("bo", page="update-room.1.bo", asks="send", about="room.1")
    assert "This update was sent already by ada." in await rig.gets(again, 410)
    assert rig.seq == seq + 1


async def test_a_draft_is_sent_in_ones_own_words_or_put_off(rig: Rig) -> None:
    link = await drafted(rig)
    await rig.taps(link, deed="send", revision="1", text="we are\r\non it")
    assert (await rig.incident()).updates.by_name["room.1"].text == "we are\non it"
    await rig.does("updates", audience="room")
    link = await rig.calls("ada", page="update-room.2.ada", asks="send", about="room.2")
    assert "Put off until 14:15:00 UTC" in await rig.taps(link, deed="snooze")
    assert (await rig.incident()).updates.snoozed["room"] == rig.later(minutes=15)


async def test_a_draft_that_changed_meanwhile_is_shown_anew_and_ones_words_are_kept(
    rig: Rig,
) -> None:
    link = await drafted(rig)
    await rig.does("updates", audience="room")
    seq = rig.seq
    page = await rig.taps(link, 409, deed="send", revision="1", text="my <b>words</b>")
    assert "the draft has changed since you read it" in page
    assert 'name="revision" value="2"' in page
    assert "my &lt;b&gt;words&lt;/b&gt;" in page
    assert rig.seq == seq
    await rig.taps(link, deed="send", revision="2", text="my words")


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({}, "no such button"),
        ({"deed": "yes"}, "no such button"),
        ({"deed": "close"}, "no such button"),
        ({"deed": "send", "revision": "1"}, "the update is empty"),
        (
            {"deed": "send", "revision": "1", "text": "x" * 2001},
            "the update has 2001 characters; 2000 at most",
        ),
        ({"deed": "send", "text": "x"}, "the draft has changed"),
    ],
)
async def test_a_form_that_does_not_fit_changes_nothing_and_uses_nothing_up(
    rig: Rig, form: dict[str, str], told: str
) -> None:
    link = await drafted(rig)
    seq = rig.seq
    assert told in await rig.taps(link, 409, **form)
    assert rig.seq == seq


async def test_a_form_that_is_none_is_400_and_too_large_413(rig: Rig) -> None:
    link = await rig.calls()
    for sent, status in ((b"\xff\xfe", 400), (b"&a=1" * 20, 400), (b"x" * (MAX_BODY + 1), 413)):
        answer = await rig.client.post(link, data=sent)
        assert answer.status == status
        assert "<h1>" in await answer.text()


async def test_a_page_that_only_tells_has_no_button(rig: Rig) -> None:
    link = await rig.calls("ada", page="told.ada", asks="")
    assert "<button" not in await rig.gets(link)
    assert "no such button" in await rig.taps(link, 409, deed="ack")


async def test_a_link_lives_for_a_day_by_the_daemons_clock(rig: Rig) -> None:
    link = await rig.calls()
    rig.later(hours=24)
    await rig.gets(link)
    rig.later(seconds=1)
    for page in (await rig.gets(link, 410), await rig.taps(link, 410, deed="ack")):
        assert "older than a day" in page
    assert (await rig.incident()).commander == ""


async def test_a_replicas_clock_that_is_ahead_harms_no_link(rig: Rig) -> None:
    link = await rig.calls()
    rig.later(seconds=-30)
    await rig.gets(link)


async def test_forged_and_garbled_links_are_403_and_are_not_repeated(rig: Rig) -> None:
    link = await rig.calls()
    token = link.removeprefix("/a/")
    forged = keys_of("another key")  # with the id of ours
    forger = SignedLinks(lambda: forged, URL, lambda: rig.now, timedelta(days=90))
    document = urlsplit(rig.links.document(rig.id)).path.removeprefix("/d/")
    for wrong in (
        urlsplit(forger.for_page(rig.id, "r0.t0.ada")).path.removeprefix("/a/"),
        # Not the last character: of that one, two bits are padding and sign nothing.
        token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1],
        token.partition(".")[0],
        token.partition(".")[2],
        f"deadbeef.{token.partition('.')[2]}",
        document,
        "x",
        "%00",
        "%FF",
        "ü",
        "<script>alert(1)",
    ):
        seq = rig.seq
        for page in (await rig.gets(f"/a/{wrong}", 403), await rig.taps(f"/a/{wrong}", 403)):
            assert "This link is not valid" in page
            assert len(wrong) < 6 or wrong not in page
        assert rig.seq == seq
    await rig.gets(f"/d/{token}", 403)


async def test_a_link_serves_its_own_page_alone(rig: Rig) -> None:
    first, second = await rig.calls("ada"), await rig.calls("bo")
    await rig.taps(first, deed="ack")
    assert (await rig.incident()).responders == ("ada",)
    await rig.taps(second, deed="ack")
    assert (await rig.incident()).responders == ("ada", "bo")
    assert "does not know this page" in await rig.gets(path_of(rig, "r9.t9.eve"), 404)
    nowhere = urlsplit(rig.links.for_page("none", "r0.t0.ada")).path
    assert "does not know this page" in await rig.gets(nowhere, 404)


async def test_when_command_was_given_up_older_pages_do_not_count(rig: Rig) -> None:
    link = await rig.calls("bo")
    await rig.does("ack")
    await rig.does("leave")
    seq = rig.seq
    for page in (await rig.gets(link, 410), await rig.taps(link, 410, deed="ack")):
        assert "Command has been given up since this page was sent" in page
    assert rig.seq == seq
    newer = await rig.calls("bo", page="r1.t0.bo")
    assert "you are the Commander" in await rig.taps(newer, deed="ack")


async def test_an_open_question_outlives_a_change_of_command(rig: Rig) -> None:
    link = await asked(rig)
    await rig.does("leave")
    await rig.taps(link, deed="yes")
    assert (await rig.incident()).people.holder("communicator") == "bo"


async def test_whoever_left_the_roster_has_no_link_any_more(rig: Rig) -> None:
    link = await rig.calls("eve")
    assert "eve is not in the roster any more" in await rig.taps(link, 410, deed="ack")


async def test_whoever_may_only_look_does_nothing_by_a_link(rig: Rig) -> None:
    link = await rig.calls("bo")
    give_access(rig, bo="viewer")
    seq = rig.seq
    for page in (await rig.gets(link, 410), await rig.taps(link, 410, deed="ack")):
        assert "bo has the access `viewer` and may only look" in page
    assert (rig.seq, (await rig.incident()).commander) == (seq, "")


async def test_a_closed_incident_says_so(rig: Rig) -> None:
    link = await rig.calls()
    await rig.does("close", ADA, reason="a test")
    seq = rig.seq
    for page in (await rig.gets(link, 410), await rig.taps(link, 410, deed="ack")):
        assert "This incident is closed: ada: a test" in page
    assert rig.seq == seq


async def test_a_failing_store_is_told_in_plain_words_and_uses_nothing_up(rig: Rig) -> None:
    link = await rig.calls()
    rig.journal.failing = True
    assert "The store does not answer" in await rig.taps(link, 503, deed="ack")
    rig.journal.failing = False
    await rig.taps(link, deed="ack")


async def test_other_methods_and_places_are_pages_too(rig: Rig) -> None:
    link = await rig.calls()
    answer = await rig.client.put(link)
    assert answer.status == 405
    assert link not in await answer.text()
    await rig.gets("/a/", 404)
    await rig.gets("/d/a/b", 404)
