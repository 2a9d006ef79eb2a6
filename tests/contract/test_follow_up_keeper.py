"""Nothing of what is to be done is forgotten: reminders, issues, reviews; closed incidents too."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon.config.active import ActiveConfig, Live
from daemon.core.incident import events as e
from daemon.core.incident.learning import FollowUp
from daemon.core.incident.state import Incident
from daemon.core.ports.notification import Page, Reminder
from daemon.core.ports.trackers import FollowsBack, Issue, IssueDraft, IssueState, Tracker
from daemon.core.recovery.approvals import Approvals
from daemon.core.response.follow_ups import PUSH_BACKOFF, PUSH_TRIES, ReminderTiming
from daemon.core.rules.rule import RuleBook
from daemon.core.values.outcome import Permanent, Temporary
from daemon.notifying.reminders import NO_QUIET_WAY, NOT_IN_ROSTER
from daemon.reporting.reviews import Reviews, renew_review, write_review
from daemon.repository import IncidentRepository
from daemon.watching.follow_ups import ASK, FollowUpKeeper
from tests.core.build import ROSTER, opening
from tests.fakes import MemoryJournal

DAY = timedelta(days=1)
MORNING = datetime(2026, 12, 8, 9, 30, tzinfo=UTC)
DUE = date(2026, 12, 10)
ID = "1123-1403-x7qf"
TIMING = ReminderTiming(2 * DAY, time(9), ZoneInfo("UTC"))


@dataclass
class Mail:
    """A way that wakes nobody. `troubles`: what it raises first."""

    troubles: list[Exception] = field(default_factory=list)
    reminders: list[Reminder] = field(default_factory=list)

    async def page(self, page: Page) -> str:
        """Nobody is paged here."""
        raise AssertionError(page)

    async def remind(self, reminder: Reminder) -> str:
        """Take it."""
        if self.troubles:
            raise self.troubles.pop(0)
        self.reminders.append(reminder)
        return "taken"


class Phone:
    """A way that calls."""

    async def page(self, page: Page) -> str:
        """Nobody may be called about a follow-up."""
        raise AssertionError(page)


@dataclass
class Issues:
    """A tracker. `troubles`: what it raises first; `states`: what it says of each key."""

    troubles: list[Exception] = field(default_factory=list)
    drafts: list[IssueDraft] = field(default_factory=list)
    states: dict[str, IssueState] = field(default_factory=dict)
    asked: int = 0
    name: str = "github"

    async def push(self, draft: IssueDraft) -> Issue:
        """Take it."""
        if self.troubles:
            raise self.troubles.pop(0)
        self.drafts.append(draft)
        return Issue(str(len(self.drafts)), f"https://x/{len(self.drafts)}")

    async def state(self, key: str) -> IssueState:
        """What became of it."""
        self.asked += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return self.states.get(key, "open")


class Keeping:
    """A keeper over a journal in memory; time stands still until a test moves it."""

    def __init__(self, folder: Path, tracker: Tracker | None = None) -> None:
        self.now = MORNING - 10 * DAY
        self.journal = MemoryJournal()
        self.mail = Mail()
        self.ways: dict[str, Any] = {"ada": [("webhook-1", Phone()), ("email-2", self.mail)]}
        self.tracker = tracker
        self.reviews = Reviews(folder / "reviews")
        self.begin()

    def begin(self) -> None:
        """Start, or start anew after a crash: only the journal is left."""
        self.repository = IncidentRepository(self.journal, lambda: self.now)
        active = Live(ActiveConfig(RuleBook((), {}), ROSTER, Approvals(), self.ways, {}))
        self.keeper = FollowUpKeeper(
            self.repository,
            active,
            TIMING,
            self.tracker,
            renew=lambda i: renew_review(self.repository, i, self.reviews, ROSTER),
            page=lambda i: f"https://s/incidents/{i}",
        )

    async def opens(self, *events: e.Event) -> None:
        """An incident with these events."""
        await self.repository.open(ID, "key", [opening()])
        await self.happens(*events)

    async def happens(self, *events: e.Event) -> None:
        await self.repository.record(ID, lambda _: events)

    async def at(self, moment: datetime) -> None:
        """It is then, and the keeper looks."""
        self.now = moment
        await self.keeper.look()

    @property
    def kinds(self) -> list[str]:
        """What is in the journal."""
        return [entry.event.kind for entry in self.journal.entries[ID]]

    async def incident(self) -> Incident:
        return await self.repository.load(ID)

    async def one(self) -> FollowUp:
        return (await self.incident()).learning.follow_ups[1]


ADDED = e.FollowUpAdded(follow_up=1, title="test it", owner="ada", due=DUE, person="bo")
CLOSED = e.IncidentClosed(reason="recovered", text="held")


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(tmp_path)


# ── reminders ────────────────────────────────────────────────────────────────────────────────


async def test_the_owner_is_reminded_once_before_and_once_on_the_day(keeping: Keeping) -> None:
    await keeping.opens(ADDED, CLOSED)
    for day in range(-3, 8):
        for hour in range(0, 24, 3):
            await keeping.at(MORNING + day * DAY + timedelta(hours=hour - 9))
    titles = [reminder.title for reminder in keeping.mail.reminders]
    assert titles == ["Follow-up due on 2026-12-10: test it", "Follow-up due today: test it"]
    assert keeping.kinds.count("FollowUpReminded") == 2
    assert keeping.mail.reminders[0].link == f"https://s/incidents/{ID}"


async def test_a_restart_reminds_nobody_again(keeping: Keeping) -> None:
    await keeping.opens(ADDED)
    await keeping.at(MORNING)
    keeping.begin()
    await keeping.at(MORNING + timedelta(hours=1))
    assert len(keeping.mail.reminders) == 1


async def test_whoever_cannot_be_told_quietly_is_not_called(keeping: Keeping) -> None:
    keeping.ways["ada"] = [("webhook-1", Phone())]
    await keeping.opens(ADDED)
    await keeping.at(MORNING)
    await keeping.at(MORNING + timedelta(hours=1))
    (told,) = (x.event for x in keeping.journal.entries[ID] if x.event.kind == "FollowUpReminded")
    assert isinstance(told, e.FollowUpReminded)
    assert (told.method, told.proof) == ("", NO_QUIET_WAY)


async def test_whoever_takes_it_over_is_reminded_too(keeping: Keeping) -> None:
    await keeping.opens(ADDED, CLOSED)
    await keeping.at(MORNING + 2 * DAY)
    keeping.ways["bo"] = [("email-1", keeping.mail)]
    passed = e.FollowUpChanged(follow_up=1, title="test it", owner="bo", due=DUE, person="ada")
    await keeping.happens(passed)
    await keeping.at(MORNING + 3 * DAY)
    assert [one.person for one in keeping.mail.reminders] == ["ada", "bo"]
    assert keeping.mail.reminders[1].title == "Follow-up due since 2026-12-10: test it"


async def test_of_somebody_who_left_the_roster_that_is_said(keeping: Keeping) -> None:
    await keeping.opens(ADDED.model_copy(update={"owner": "zoe"}), CLOSED)
    await keeping.at(MORNING + 2 * DAY)
    line = keeping.journal.entries[ID][-1].event.describe()
    assert line == f"zoe was not reminded of follow-up 1: {NOT_IN_ROSTER}"


async def test_a_way_that_fails_for_now_is_tried_again(keeping: Keeping) -> None:
    keeping.mail.troubles = [Temporary("the mail server hung up")]
    await keeping.opens(ADDED)
    await keeping.at(MORNING)
    await keeping.at(MORNING + timedelta(minutes=14))
    assert keeping.mail.reminders == []
    await keeping.at(MORNING + timedelta(minutes=15))
    assert len(keeping.mail.reminders) == 1


async def test_a_way_that_never_works_is_told_of_and_given_up(keeping: Keeping) -> None:
    keeping.mail.troubles = [Permanent("550 no such mailbox")]
    await keeping.opens(ADDED)
    await keeping.at(MORNING)
    await keeping.at(MORNING + timedelta(hours=1))
    assert keeping.mail.reminders == []
    line = keeping.journal.entries[ID][-1].event.describe()
    assert line == "ada was not reminded of follow-up 1: 550 no such mailbox"


# ── trackers ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def issues() -> Issues:
    return Issues()


@pytest.fixture
def tracked(tmp_path: Path, issues: Issues) -> Keeping:
    return Keeping(tmp_path, issues)


async def test_a_follow_up_is_an_issue_of_the_tracker_soon(
    tracked: Keeping, issues: Issues
) -> None:
    await tracked.opens(ADDED, CLOSED)
    await tracked.keeper.look()
    await tracked.keeper.look()
    assert [draft.marker for draft in issues.drafts] == [f"stopgap-{ID}-1"]
    one = await tracked.one()
    assert (one.tracker, one.key, one.url) == ("github", "1", "https://x/1")


async def test_a_tracker_that_fails_is_tried_ever_later_and_then_given_up(
    tracked: Keeping, issues: Issues
) -> None:
    issues.troubles = [Temporary("GitHub answered 503")] * 99
    await tracked.opens(ADDED)
    for failures in range(1, PUSH_TRIES + 1):
        await tracked.keeper.look()
        await tracked.keeper.look()  # too soon
        assert (await tracked.one()).failures == failures
        tracked.now += PUSH_BACKOFF.pause(failures)
    assert (await tracked.one()).given_up
    await tracked.keeper.look()
    assert tracked.kinds.count("FollowUpPushFailed") == PUSH_TRIES
    issues.troubles = []
    await tracked.happens(e.FollowUpMoved(follow_up=1, status="in_progress", person="ada"))
    await tracked.keeper.look()
    assert (await tracked.one()).key == "1"


async def test_the_tries_of_an_earlier_run_count(tracked: Keeping, issues: Issues) -> None:
    issues.troubles = [Temporary("GitHub answered 503")] * 2
    await tracked.opens(ADDED)
    await tracked.keeper.look()
    tracked.begin()
    await tracked.keeper.look()
    assert (await tracked.one()).failures == 1


@pytest.mark.parametrize("state", ["done", "dropped"])
async def test_what_is_closed_there_is_over_here(
    tracked: Keeping, issues: Issues, state: IssueState
) -> None:
    assert isinstance(issues, FollowsBack)
    await tracked.opens(ADDED, CLOSED)
    await tracked.keeper.look()
    await tracked.keeper.look()
    issues.states["1"] = state
    tracked.now += ASK
    await tracked.keeper.look()
    one = await tracked.one()
    assert (one.status, one.reason) == (state, "1 was closed")
    assert not (await tracked.incident()).learning.open_follow_ups


async def test_whoever_opens_it_again_here_is_not_overruled_by_the_closed_issue(
    tracked: Keeping, issues: Issues
) -> None:
    await tracked.opens(ADDED, CLOSED)

    async def asked(state: IssueState) -> e.FollowUpStatus:
        issues.states["1"] = state
        tracked.now += ASK
        await tracked.keeper.look()
        return (await tracked.one()).status

    await tracked.keeper.look()
    await tracked.keeper.look()
    assert await asked("done") == "done"
    again = e.FollowUpMoved(follow_up=1, status="open", reason="not at all", person="ada")
    await tracked.happens(again)
    assert await asked("done") == "open"
    tracked.begin()
    assert await asked("done") == "open"
    assert await asked("open") == "open"  # it was opened again there, too
    assert await asked("done") == "done"


async def test_a_tracker_is_asked_every_quarter_of_an_hour_and_less_while_it_fails(
    tracked: Keeping, issues: Issues
) -> None:
    await tracked.opens(ADDED)
    await tracked.keeper.look()
    for minutes in (0, 1, 14, 15, 29):
        await tracked.at(MORNING - 10 * DAY + timedelta(minutes=minutes))
    assert issues.asked == 2
    issues.troubles = [Temporary("GitHub answered 503")] * 2
    for minutes in (30, 44, 45, 74, 75):
        await tracked.at(MORNING - 10 * DAY + timedelta(minutes=minutes))
    assert issues.asked == 5  # at 30, at 45, and at 75: twice as long after the second failure


async def test_a_tracker_that_does_not_answer_is_asked_once_in_a_look(
    tracked: Keeping, issues: Issues
) -> None:
    more = [ADDED.model_copy(update={"follow_up": number}) for number in range(2, 9)]
    await tracked.opens(ADDED, *more)
    issues.troubles = [Temporary("GitHub cannot be reached")] * 9
    await tracked.keeper.look()
    assert len(issues.troubles) == 8
    issues.troubles = []
    await tracked.keeper.look()
    assert len(issues.drafts) == 7, "the first one rests"


async def test_an_incident_that_cannot_be_looked_after_holds_up_no_other(
    keeping: Keeping,
) -> None:
    await keeping.opens(ADDED, CLOSED)
    await write_review(keeping.repository, ID, keeping.reviews, ROSTER)
    await keeping.happens(e.CauseRecorded(person="ada", text="x", category="data"))
    await keeping.repository.open("older", "other key", [opening(), ADDED])
    keeping.journal.rows["older"] = keeping.journal.rows["older"].model_copy(
        update={"opened_at": keeping.now - DAY}
    )
    keeping.reviews.path(ID).unlink()
    keeping.reviews.folder.rmdir()
    keeping.reviews.folder.write_text("a file in the place of the folder")
    await keeping.at(MORNING)
    assert {reminder.incident for reminder in keeping.mail.reminders} == {ID, "older"}
    assert (await keeping.incident()).learning.unreviewed


async def test_an_issue_of_another_tracker_is_left_alone(tracked: Keeping, issues: Issues) -> None:
    pushed = e.FollowUpPushed(follow_up=1, tracker="jira", key="OPS-1")
    await tracked.opens(ADDED, pushed)
    await tracked.keeper.look()
    assert (issues.drafts, issues.asked) == ([], 0)


# ── reviews ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (e.Noted(text="it was the cache"), "it was the cache"),
        (
            e.LastWordDismissed(audience="customers", person="ada", reason="all were called"),
            "needs no word that it is over",
        ),
        (e.SentimentHeard(source="ada", text="40 calls"), "40 calls"),
    ],
)
async def test_a_review_is_written_anew_when_something_is_added_after_the_end(
    keeping: Keeping, added: e.Event, said: str
) -> None:
    await keeping.opens(CLOSED)
    await write_review(keeping.repository, ID, keeping.reviews, ROSTER)
    path = keeping.reviews.path(ID)
    assert said not in path.read_text()
    await keeping.happens(added)
    await keeping.keeper.look()
    assert said in path.read_text()
    assert keeping.kinds[-1] == "ReviewWritten"
    await keeping.keeper.look()
    assert keeping.kinds.count("ReviewWritten") == 2


async def test_a_review_is_written_anew_when_more_was_learned(keeping: Keeping) -> None:
    await keeping.opens(CLOSED)
    await write_review(keeping.repository, ID, keeping.reviews, ROSTER)
    path = keeping.reviews.path(ID)
    assert "Not recorded yet" in path.read_text()
    await keeping.happens(e.CauseRecorded(person="ada", text="a leak", category="capacity"))
    await keeping.keeper.look()
    assert "**a leak**" in path.read_text()
    assert not (await keeping.incident()).learning.unreviewed
    assert keeping.kinds[-2:] == ["CauseRecorded", "ReviewWritten"]
    await keeping.keeper.look()
    assert keeping.kinds.count("ReviewWritten") == 2


async def test_a_restart_finds_a_review_that_is_stale(keeping: Keeping) -> None:
    await keeping.opens(CLOSED)
    await write_review(keeping.repository, ID, keeping.reviews, ROSTER)
    await keeping.happens(ADDED)
    keeping.begin()
    await keeping.keeper.look()
    assert "| 1 | test it | ada | 2026-12-10 | open | – |" in keeping.reviews.path(ID).read_text()


async def test_the_review_of_an_open_incident_is_left_to_its_end(keeping: Keeping) -> None:
    await keeping.opens(ADDED)
    await keeping.keeper.look()
    assert not keeping.reviews.path(ID).exists()
