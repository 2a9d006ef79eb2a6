"""The end of a storm reaches whoever its page has called, once."""

from __future__ import annotations

from daemon.core.ports.notification import Reminder
from tests import commanding
from tests.fakes import Phone
from tests.stories.stage import ROSTER, Daemon, Stage, alert
from tests.stories.test_storm import unruled

MAILED = ROSTER.replace(
    "ada: {name: Ada, contact: [{console: true}]}",
    "ada: {name: Ada, contact: [{email: ada@example.org}]}",
)
MANY = 12


class Mailbox(Phone):
    """A way that can tell without ringing."""

    method = "email-1"

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Reminder] = []

    async def remind(self, reminder: Reminder) -> str:
        self.told.append(reminder)
        return "told"


def mailed(stage: Stage) -> tuple[Stage, Mailbox]:
    """The same, where ada has mail."""
    stage = Stage(stage.folder, roster_text=MAILED, service=stage.service)
    stage.phones["ada"] = box = Mailbox()
    return stage, box


async def close(daemon: Daemon, incident: str) -> None:
    await daemon.repository.record(incident, lambda i: commanding.close(i, "cy", "a mistake"))


async def test_whoever_was_called_by_its_page_hears_once_that_all_of_it_is_closed(
    stage: Stage,
) -> None:
    stage, box = mailed(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(unruled(number) for number in range(MANY)))
        await daemon.at(190)
        pages = box.pages
        assert pages[-1].title.startswith("Storm since")
        names = [incident.id for incident in await stage.incidents()]
        names.remove(pages[-1].incident)
        for name in (pages[-1].incident, *names[:-1]):
            await close(daemon, name)
        await daemon.at(300)
        assert not [word for word in box.told if word.title.startswith("The storm")], (
            "one of it is left"
        )
        await close(daemon, names[-1])
        await daemon.at(360)
    (word,) = [word for word in box.told if word.title.startswith("The storm")]
    assert word.title == "The storm since 14:03:00 UTC is over"
    assert word.text.startswith("Its page asks nothing more of you.")


async def test_whoever_was_called_by_its_page_hears_once_that_all_of_it_is_restored(
    stage: Stage,
) -> None:
    stage, box = mailed(stage)
    async with stage.daemon() as daemon:
        await daemon.at(180)
        await daemon.receives(*(alert(service=f"s{number}") for number in range(MANY)))
        await daemon.at(300)
        assert any(page.title.startswith("Storm since") for page in box.pages)
        stage.service.fails(0.002, 300)
        await daemon.at(1800)
        assert all(incident.recovered_at for incident in await stage.incidents())
        await daemon.at(4000)
    assert len([word for word in box.told if word.title.startswith("The storm")]) == 1
