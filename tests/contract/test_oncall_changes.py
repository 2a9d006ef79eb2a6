"""Overrides and swaps by API and page: kept, obeyed at once, told to both, and exported."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import icalendar
import pytest

from daemon.adapters.store import Store, StorePlace, audit_journal, open_store
from daemon.config.active import ActiveConfig
from daemon.core.people.oncall_changes import OncallOverride
from daemon.core.people.roster import Roster
from daemon.core.ports.notification import Page, Reminder
from daemon.notifying.oncall_desk import OncallDesk
from daemon.web.context import WebContext
from tests.contract.rig import ADA, BO, Rig, rigged
from tests.contract.visitor import give_access
from tests.fakes import Following

SCHEDULES = {
    "primary": {
        "zone": "Europe/Berlin",
        "layers": [{"rotation": ["ada", "bo"], "start": "2026-11-23"}],
    },
    "feed": {"zone": "UTC", "calendar": {"file": "feed.ics"}},
}
TIERS = {"tiers": [{"notify": ["primary"], "wait": "5m"}]}
CY = {"Authorization": "Bearer cy-token"}
OVERRIDES, SWAPS = "/api/v1/oncall/overrides", "/api/v1/oncall/swaps"


@dataclass
class Postbox:
    """A way that wakes nobody."""

    got: list[Reminder] = field(default_factory=list)

    async def page(self, page: Page) -> str:
        raise AssertionError("nobody is to be rung for this")

    async def remind(self, reminder: Reminder) -> str:
        self.got.append(reminder)
        return "250 ok"


class OncallRig(Rig):
    """With schedules, postboxes, and a store on disk (`begun`)."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.overrides: list[OncallOverride] = []
        self.boxes = {"ada": Postbox(), "bo": Postbox(), "cy": Postbox()}
        self.roster = Roster.model_validate(
            {
                **self.roster.model_dump(by_alias=True),
                "schedules": SCHEDULES,
                "policies": {"payments": TIERS},
            }
        ).knowing({}, self.overrides)

    def active(self) -> ActiveConfig:
        ways = {name: [("email-1", box)] for name, box in self.boxes.items()}
        return replace(super().active(), ways=ways)

    def context(self) -> WebContext:
        self.desk = OncallDesk(
            _Later(),  # type: ignore[arg-type]
            self.overrides,
            Following(self.active),
            lambda: self.now,
            self.repository.ring_all,
            "https://stopgap.example",
        )
        return replace(super().context(), oncall=self.desk)

    async def begun(self, store: Store) -> None:
        self.desk._store = store.oncall
        await self.desk.begin()

    def told(self) -> dict[str, int]:
        return {name: len(box.got) for name, box in self.boxes.items() if box.got}


class _Later:
    """In the place of the store until it is open."""


@pytest.fixture
async def store(place: StorePlace) -> AsyncIterator[Store]:
    async with open_store(place) as opened:
        yield opened


@pytest.fixture
async def rig(store: Store) -> AsyncIterator[OncallRig]:
    async with rigged(make=OncallRig) as found:
        await found.begun(store)
        yield found


async def sets(rig: OncallRig, who: dict[str, str] = BO, **body: Any) -> tuple[int, dict[str, Any]]:
    given = {"schedule": "primary", "until": "2026-11-24 18:00", **body}
    return await rig.asks("POST", OVERRIDES, who, json=given)


async def on_call(rig: OncallRig) -> list[str]:
    _, view = await rig.asks("GET", "/api/v1/oncall", ADA)
    found: list[str] = view["teams"]["payments"]["tiers"][0]["people"]
    return found


async def test_an_override_holds_at_once_and_whoever_is_relieved_is_told(rig: OncallRig) -> None:
    assert await on_call(rig) == ["ada"]
    status, done = await sets(rig, reason="ada is ill")
    assert status == 201
    assert await on_call(rig) == ["bo"]
    # Without an offset it is the wall clock of the schedule: Berlin is an hour ahead.
    assert done["override"]["until"] == "2026-11-24T17:00:00Z"
    assert done["told"] == {"ada": "email-1"}
    (word,) = rig.boxes["ada"].got
    assert "bo is on call for primary" in word.text
    assert "(set by bo: ada is ill)" in word.text
    assert word.link == "https://stopgap.example/oncall"
    rig.now += timedelta(days=2)
    assert await on_call(rig) == ["ada"]


async def test_it_is_kept_and_removed_and_the_ledger_tells_of_both(
    rig: OncallRig, store: Store
) -> None:
    _, done = await sets(rig)
    id_ = done["override"]["id"]
    rig.overrides.clear()
    await rig.desk.begin()
    assert [one.id for one in rig.overrides] == [id_]
    status, refused = await rig.asks("DELETE", f"{OVERRIDES}/{id_}", CY)
    assert (status, "they, bo or an admin may remove it" in refused["detail"]) == (409, True)
    status, done = await rig.asks("DELETE", f"{OVERRIDES}/{id_}", BO)
    assert status == 200
    assert await on_call(rig) == ["ada"]
    status, refused = await rig.asks("DELETE", f"{OVERRIDES}/{id_}", BO)
    assert (status, "no override" in refused["detail"]) == (409, True)
    await rig.desk.begin()
    assert rig.overrides == []
    assert (await audit_journal(store.journal)).breaks == []


async def test_another_is_put_on_call_by_the_lead_or_an_admin(rig: OncallRig) -> None:
    status, refused = await sets(rig, ADA, person="bo")
    assert (status, "bo must agree: ask them" in refused["detail"]) == (409, True)
    status, done = await sets(rig, CY, person="bo")
    assert (status, done["told"]) == (201, {"bo": "email-1", "ada": "email-1"})
    give_access(rig, ada="admin")
    assert (await sets(rig, ADA, person="cy"))[0] == 201
    assert await on_call(rig) == ["cy"]


async def test_a_swap_changes_nothing_until_it_is_accepted(rig: OncallRig, store: Store) -> None:
    rig.now += timedelta(days=7)  # bo has the week, ada the next
    body = {"schedule": "primary", "with": "bo", "mine": "2026-12-08 12:00"}
    body |= {"theirs": "2026-12-15 12:00", "reason": "a wedding"}
    status, done = await rig.asks("POST", SWAPS, ADA, json=body)
    assert (status, done["told"], rig.told()) == (201, {"bo": "email-1"}, {"bo": 1})
    swap = done["swap"]
    assert (swap["start"], swap["until"]) == ("2026-12-07T08:00:00Z", "2026-12-14T08:00:00Z")
    assert f"`stopgap oncall accept {swap['id']}`" in rig.boxes["bo"].got[0].text
    assert rig.overrides == []
    _, view = await rig.asks("GET", "/api/v1/oncall", ADA)
    assert [one["id"] for one in view["swaps"]] == [swap["id"]]
    path = f"{SWAPS}/{swap['id']}"
    for who, told in ((ADA, "you asked; bo must agree"), (CY, "bo is asked, not you")):
        status, refused = await rig.asks("POST", path, who, json={"accept": True})
        assert (status, refused["detail"]) == (409, told)
    status, done = await rig.asks("POST", path, BO, json={"accept": True})
    assert (status, done["swap"]["answer"], rig.told()) == (200, "accepted", {"ada": 1, "bo": 1})
    by_id = [(o.person, o.replaces, o.start.day) for o in rig.overrides]
    assert by_id == [("bo", "ada", 7), ("ada", "bo", 14)]
    rig.now += timedelta(days=8)
    assert await on_call(rig) == ["bo"]
    rig.now += timedelta(days=7)
    assert await on_call(rig) == ["ada"]
    await rig.desk.begin()
    assert len(rig.overrides) == 2
    assert rig.desk.open_swaps() == []
    assert (await audit_journal(store.journal)).breaks == []


async def test_a_swap_can_be_declined_and_taken_back_and_lapses(rig: OncallRig) -> None:
    body = {"schedule": "primary", "with": "bo", "mine": "2026-12-08 12:00"}
    for who, answer in ((BO, "declined"), (ADA, "withdrawn")):
        _, done = await rig.asks("POST", SWAPS, ADA, json=body)
        path = f"{SWAPS}/{done['swap']['id']}"
        _, done = await rig.asks("POST", path, who, json={"accept": False})
        assert done["swap"]["answer"] == answer
    _, done = await rig.asks("POST", SWAPS, ADA, json=body)
    rig.now += timedelta(days=15)
    path = f"{SWAPS}/{done['swap']['id']}"
    status, refused = await rig.asks("POST", path, BO, json={"accept": True})
    assert (status, "it is too late" in refused["detail"]) == (409, True)
    assert rig.overrides == []


async def test_a_swap_of_a_shift_that_is_somebody_elses_by_now_is_not_agreed_to(
    rig: OncallRig,
) -> None:
    body = {"schedule": "primary", "with": "bo", "mine": "2026-12-08 12:00"}
    _, done = await rig.asks("POST", SWAPS, ADA, json=body)
    swap = done["swap"]
    span = {"from": swap["start"], "until": swap["until"]}
    status, _ = await rig.asks("POST", OVERRIDES, CY, json={"schedule": "primary", **span})
    assert status == 201
    path = f"{SWAPS}/{swap['id']}"
    status, refused = await rig.asks("POST", path, BO, json={"accept": True})
    assert status == 409
    assert refused["detail"].startswith("ada is not on call for primary from ")
    assert [one.person for one in rig.overrides] == ["cy"]
    status, _ = await rig.asks("POST", path, BO, json={"accept": False})
    assert status == 200


async def test_the_links_of_calendars_open_them_and_no_others(rig: OncallRig) -> None:
    await sets(rig)
    _, links = await rig.asks("GET", "/api/v1/oncall/calendars", ADA)
    assert set(links["schedules"]) == {"primary", "feed"}
    for link in (links["schedules"]["primary"], links["own"]):
        parts = urlsplit(link)
        answer = await rig.client.get(f"{parts.path}?{parts.query}")
        assert (answer.status, answer.content_type) == (200, "text/calendar")
        assert icalendar.Calendar.from_ical(await answer.read()).walk("VEVENT")
    key = urlsplit(links["own"]).query
    assert (await rig.client.get(f"/oncall/people/bo.ics?{key}")).status == 403
    assert (await rig.client.get(f"/oncall/primary.ics?{key}")).status == 403
    assert (await rig.client.get("/oncall/primary.ics?key=forged")).status == 403
    answer = await rig.client.get("/oncall/primary.ics", allow_redirects=False)
    assert answer.status == 303, "without a key, who asks must log in"
    assert (await rig.client.get("/oncall/nothing.ics", headers=ADA)).status == 404


async def test_the_page_shows_the_week_in_the_zone_of_whoever_looks(rig: OncallRig) -> None:
    await sets(rig, **{"from": "2026-11-24 10:00"})
    page = await (await rig.client.get("/oncall?zone=Asia/Tokyo", headers=ADA)).text()
    assert 'data-zone="Asia/Tokyo"' in page
    assert "18:00–00:00" in page
    assert page.count('<div class="week">') == 2
    page = await (await rig.client.get("/oncall?zone=nowhere&week=never", headers=ADA)).text()
    assert 'data-zone="Europe/Berlin"' in page
    assert "10:00–18:00" in page


async def test_the_page_sets_removes_asks_and_answers(rig: OncallRig) -> None:
    async def does(name: str, who: dict[str, str], **form: str) -> tuple[int, str]:
        path = f"/oncall/do/{name}"
        answer = await rig.client.post(path, headers=who, data=form, allow_redirects=False)
        return answer.status, await answer.text()

    form = {"schedule": "primary", "zone": "Asia/Tokyo", "until": "2026-11-25T03:00"}
    status, page = await does("override", BO, **form)
    assert status == 303, page
    (override,) = rig.overrides
    assert override.until.isoformat() == "2026-11-24T18:00:00+00:00"
    assert (await does("remove", BO, id=override.id))[0] == 303
    assert rig.overrides == []
    status, page = await does("override", BO, **{**form, "until": "2020-01-01T00:00"})
    assert status == 409
    assert "Not possible: it ends before it begins" in page
    assert 'value="2020-01-01T00:00"' in page, "what was written is still there"
    swap = {"schedule": "primary", "with": "bo", "mine": "2026-12-08T12:00"}
    assert (await does("swap", ADA, **swap))[0] == 303
    (asked,) = rig.desk.open_swaps()
    page = await (await rig.client.get("/oncall", headers=BO)).text()
    assert 'name="accept" value="yes"' in page
    assert (await does("answer", BO, id=asked.id, accept="yes"))[0] == 303
    assert [one.person for one in rig.overrides] == ["bo"]


async def test_a_renamed_schedule_leaves_orphans_that_a_reload_tells_of(rig: OncallRig) -> None:
    await sets(rig)
    assert rig.desk.orphans() == []
    renamed = rig.roster.model_copy(
        update={"schedules": {"first": rig.roster.schedules["primary"]}}
    )
    rig.roster = renamed
    (orphan,) = rig.desk.orphans()
    assert "is orphaned: there is no schedule 'primary' any more" in orphan
