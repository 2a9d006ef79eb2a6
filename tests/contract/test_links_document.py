"""The standard document and what hostile text comes to on any page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from daemon.core.incident import events as e
from tests.contract.rig import ADA, Rig, rigged
from tests.stories.stage import alert, body

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](http://evil.example/x.png)",
    "<http://evil.example>",
    "<b onmouseover=alert(1)>",
    "&lt;script&gt;alert(1)",
    "[x]: javascript:alert(1)",
    "</textarea></form><form action=//evil.example>",
    "`<script>`",
    "\\<script>",
    "\x02amp\x03\x02wzxhzdk:0\x03",
    "# heading\n\n<iframe src=//evil.example>",
    "| a | <style>*{display:none}",
)
TAG = re.compile(
    r"<(?!/?(?:a|body|button|dd|dl|dt|form|h1|h2|h3|head|html|input|label|li|link|main|meta"
    r"|ol|p|pre|code|strong|details|summary|table|tbody|td|textarea|th|thead|title|tr|ul)\b|!doctype)"
)


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


def document(rig: Rig) -> str:
    return urlsplit(rig.links.document(rig.id)).path


def harmless(page: str) -> None:
    """No tag that our templates do not have, no attribute that does anything, one link alone."""
    assert not TAG.search(page), TAG.search(page)
    tags = re.findall(r"<[a-z][^>]*>", page)
    assert not [tag for tag in tags if re.search(r"\son\w+=|javascript:|evil", tag)]
    assert "\x1b" not in page


async def test_the_document_holds_the_review_and_what_was_sent(rig: Rig) -> None:
    await rig.does("ack")
    page = await rig.gets(document(rig))
    assert "None yet." in page
    await rig.does("updates", audience="room")
    await rig.does("updates/room.1/send", text="we are on it\nsince two")
    seq = rig.seq
    page = await rig.gets(document(rig))
    assert f"Incident {rig.id}: CheckoutSuccessRateLow" in page
    assert "<td>ada is Commander: the first responder</td>" in page
    assert "<h3>room, 2026-11-23 14:00 UTC</h3>" in page
    assert "room.1, sent by ada" in page
    assert "we are on it\nsince two" in page
    assert "noindex" in page
    assert (await rig.client.head(document(rig))).status == 200
    assert rig.seq == seq


async def test_the_document_has_no_end_and_is_the_same_every_time(rig: Rig) -> None:
    link = rig.links.document(rig.id)
    rig.later(days=900)
    assert rig.links.document(rig.id) == link
    await rig.gets(document(rig))
    await rig.does("close")
    await rig.gets(document(rig))


async def test_the_document_cannot_be_posted_to_and_is_only_its_own_incidents(rig: Rig) -> None:
    assert (await rig.client.post(document(rig))).status == 405
    nowhere = urlsplit(rig.links.document("none")).path
    assert "does not know" in await rig.gets(nowhere, 404)
    await rig.gets(document(rig)[:-2], 403)
    page = urlsplit(rig.links.for_page(rig.id, "r0.t0.ada")).path.removeprefix("/a/")
    await rig.gets(f"/d/{page}", 403)


@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_that_others_wrote_is_live_in_the_document(rig: Rig, text: str) -> None:
    rig.id = await rig.delivers(body(alert(service=text)))
    await rig.does("ack")
    await rig.does("notes", text=text)
    await rig.does("sentiment", text=text)
    await rig.does("pause", reason=text)
    await rig.does("updates", audience="room")
    await rig.does("updates/room.1/send", text=text)
    await rig.does("close", reason=text)
    page = await rig.gets(document(rig))
    harmless(page)
    assert re.findall("<a [^>]*>", page) == [f'<a href="/incidents/{rig.id}">']


async def test_what_was_written_reads_as_it_was_written(rig: Rig) -> None:
    await rig.does("notes", text="a <b> & *c* [d](e) `f` g_h #1 | \\ done")
    page = await rig.gets(document(rig))
    assert "<td>a &lt;b&gt; &amp; *c* [d](e) `f` g_h #1 | \\ done</td>" in page


@pytest.mark.parametrize("text", HOSTILE)
async def test_nothing_that_others_wrote_is_live_on_a_page(rig: Rig, text: str) -> None:
    rig.id = await rig.delivers(body(alert(service=text)))
    link = await rig.calls("bo", text=text)
    harmless(await rig.gets(link))
    await rig.does("ack", ADA)
    await rig.does("updates", audience="room")
    draft = (await rig.incident()).updates.by_name["room.1"].draft
    await rig.happens(draft.model_copy(update={"text": text, "revision": 2, "because": text}))
    link = await rig.calls("ada", page="u", asks="send", about="room.1")
    harmless(await rig.gets(link))
    harmless(await rig.taps(link, 409, deed="send", revision="1", text=text))
    await rig.does("roles/communicator", person="bo")
    (asked,) = (await rig.incident()).people.open_requests()
    hostile = asked.event.model_copy(update={"why": text, "briefing": text})
    await rig.happens(hostile)
    link = urlsplit(rig.links.for_page(rig.id, "role-communicator.1.bo")).path
    harmless(await rig.gets(link))
    harmless(await rig.taps(link, deed="no"))
    await rig.does("close", ADA, reason=text)
    harmless(await rig.gets(link, 410))


async def test_a_long_timeline_is_set_all_the_same(rig: Rig) -> None:
    await rig.happens(*(e.Noted(text=f"note {n} " + "x_y " * 20) for n in range(300)))
    assert "note 299" in await rig.gets(document(rig))
