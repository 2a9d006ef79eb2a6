"""What is new in the store: the rows of its ledger, and a counter for each further topic.

Writers are serialized, so the ledger's numbers become visible in their order: whoever has seen one
misses none below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, func, select

from daemon.adapters.store.database import Database
from daemon.adapters.store.hinting import hint_at_news
from daemon.adapters.store.schema import ledger, news_table
from daemon.adapters.store.statements import insert
from daemon.core.ports.news import (
    FREEZES_TOPIC,
    MAINTENANCE_TOPIC,
    ONCALL_TOPIC,
    News,
    NewsPosition,
)

_AT_ONCE = 5000
"""So many rows of the ledger are looked at in one turn; the rest follows with the next."""
_TOPICS: Mapping[str, str] = {
    "frozen": FREEZES_TOPIC,
    "thawed": FREEZES_TOPIC,
    "maintenance": MAINTENANCE_TOPIC,
    "maintenance-ended": MAINTENANCE_TOPIC,
    "overridden": ONCALL_TOPIC,
    "override-removed": ONCALL_TOPIC,
    "swap-asked": ONCALL_TOPIC,
    "swap-answered": ONCALL_TOPIC,
}
"""What a kind of row tells that a replica may have in memory."""


def count_up(connection: Connection, topic: str) -> None:
    """Something of the topic changes in this transaction."""
    added = insert(connection, news_table).values(topic=topic, number=1)
    connection.execute(
        added.on_conflict_do_update(
            index_elements=[news_table.c.topic], set_={"number": news_table.c.number + 1}
        )
    )
    hint_at_news(connection)


class SqlNews:
    """`daemon.core.ports.news.NewsFeed` of one store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self) -> NewsPosition:
        """Where the store stands now."""
        return await self._database.read(_position)

    async def since(self, position: NewsPosition) -> News:
        """What is new since then."""

        def work(connection: Connection) -> News:
            return _since(connection, position)

        return await self._database.read(work)


def _position(connection: Connection) -> NewsPosition:
    number = connection.scalar(select(func.max(ledger.c.number))) or 0
    return NewsPosition(number, _counters(connection))


def _counters(connection: Connection) -> Mapping[str, int]:
    return {row.topic: row.number for row in connection.execute(select(news_table))}


def _since(connection: Connection, position: NewsPosition) -> News:
    rows = (
        select(ledger.c.number, ledger.c.kind, ledger.c.incident, ledger.c.seq)
        .where(ledger.c.number > position.number)
        .order_by(ledger.c.number)
        .limit(_AT_ONCE)
    )
    number = position.number
    grown: dict[str, list[int]] = {}
    topics: set[str] = set()
    for row in connection.execute(rows):
        number = row.number
        if row.kind == "entries":
            grown.setdefault(row.incident, []).append(row.seq)
        elif row.kind in _TOPICS:
            topics.add(_TOPICS[row.kind])
    counters = _counters(connection)
    topics |= {topic for topic, n in counters.items() if n != position.counters.get(topic, 0)}
    return News(NewsPosition(number, counters), _in_order(grown), frozenset(topics))


def _in_order(grown: Mapping[str, list[int]]) -> Mapping[str, Sequence[int]]:
    return {incident: sorted(ends) for incident, ends in grown.items()}
