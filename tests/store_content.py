"""A store with rows in every table, as a daemon leaves them."""

from __future__ import annotations

from datetime import datetime, timedelta

from daemon.adapters.store import Store
from daemon.core.changes.change import Change
from daemon.core.people.access import ApiToken, Session
from daemon.core.people.oncall_changes import OncallOverride, ShiftSwap
from daemon.core.recovery.guardrails import Freeze
from daemon.core.recovery.maintenance import MaintenanceWindow
from tests.journal_scenes import BEGIN, HOUR, nights


async def fill_store(store: Store) -> None:
    """Incidents, and one of each of what is kept beside them."""
    await nights(store.journal, ["shop", "cart"])
    await one_of_each(store, "one", BEGIN)
    await store.notes.write("a note", ["ü", "→"])
    await store.inbox.put("first", b"\x00\xff{}", BEGIN)
    await store.inbox.put("second", b"{}", BEGIN)
    await store.inbox.processed(["first"], {"an alert": BEGIN})


async def one_of_each(store: Store, name: str, at: datetime) -> None:
    """Everything that people and systems leave behind; all of it over an hour later."""
    end = at + HOUR
    await store.journal.freeze(
        Freeze(scope=f"service:{name}", reason="release", by="ada", at=at, until=end)
    )
    await store.maintenance.add_window(
        MaintenanceWindow(
            id=name,
            scope="global",
            reason="x",
            by="ada",
            announced_at=at,
            begins_at=at,
            ends_at=end,
        )
    )
    await store.oncall.add_override(
        OncallOverride(
            id=name,
            schedule="s",
            person="ada",
            replaces="bo",
            start=at,
            until=end,
            reason="",
            by="ada",
            at=at,
            swap="",
        )
    )
    await store.oncall.ask_swap(
        ShiftSwap(
            id=name,
            schedule="s",
            asker="ada",
            asked="bo",
            start=at,
            until=end,
            return_start=None,
            return_until=None,
            reason="",
            at=at,
        )
    )
    await store.journal.saw_change(
        Change(
            subject="release:shop",
            item=name,
            previous="",
            at=at + timedelta(microseconds=1),
            seen_by="test",
            labels={"b": "1", "a": "2"},
        )
    )
    token = ApiToken(
        id=name,
        person="ada",
        name=name,
        scopes=("read",),
        created_at=at,
        expires_at=end,
        used_on=None,
    )
    await store.credentials.add_token(token, name)
    await store.credentials.begin_session(
        Session(
            id=name,
            person="ada",
            proof="password",
            started_at=at,
            ends_at=end,
            client="x",
            granted=None,
            guest=False,
        )
    )
