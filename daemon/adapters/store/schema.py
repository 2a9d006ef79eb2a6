"""The tables, the same for every database. Times are ISO-8601 text in UTC with microseconds.

Text of one width and zone sorts as time does, reads well in any tool, and comes back exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import TypeAdapter
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    event,
    func,
)

from daemon.core.incident.alert_routes import Routes
from daemon.core.incident.outcome_facts import OutcomeFacts
from daemon.core.values.drill_key import id_prefix, key_prefix

_ROUTES: TypeAdapter[Routes] = TypeAdapter(Routes)

SCHEMA = 11
"""Counts the revisions of these tables; `upgrading` brings an earlier one up to it. Each has a
file in `upgrading/versions`, and what it makes must equal what stands here."""

COMPATIBLE = 11
"""The earliest schema whose programs may go on with these tables: what was added since has
defaults, and nothing that they use has changed. A step that breaks this sets it to its own
number."""

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared and sorted by its code points, in any database."""
_COUNTER = BigInteger().with_variant(Integer, "sqlite")
"""A number that counts up as long as the store lives; SQLite's INTEGER has 64 bits, too."""


_PARTIAL = "where"
"""What an index's `info` has by this name are the rows that it is for, if not for all."""


def to_stamp(moment: datetime) -> str:
    """The moment as it is stored, and as it goes into an entry's digest."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class _Instant(TypeDecorator[datetime]):
    """An aware datetime, kept as the text that `stamp` makes."""

    impl = _TEXT
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """On the way in."""
        return None if value is None else to_stamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """On the way out."""
        return None if value is None else datetime.fromisoformat(value)


class _Labels(TypeDecorator[Mapping[str, str]]):
    """Label names and values, kept as JSON text."""

    impl = _TEXT
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> str:
        """On the way in."""
        return json.dumps(dict(value or {}), ensure_ascii=False, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Mapping[str, str]:
        """On the way out."""
        return dict(json.loads(value or "{}"))


class _Outcome(TypeDecorator[OutcomeFacts]):
    """What came of an incident, kept as JSON text; NULL where that is not known."""

    impl = _TEXT
    cache_ok = True

    def process_bind_param(self, value: OutcomeFacts | None, dialect: Dialect) -> str | None:
        """On the way in."""
        return None if value is None else value.model_dump_json()

    def process_result_value(self, value: str | None, dialect: Dialect) -> OutcomeFacts | None:
        """On the way out."""
        return None if value is None else OutcomeFacts.model_validate_json(value)


class _Routes(TypeDecorator[Routes]):
    """Whose alerts come to an incident, kept as JSON text; empty text for none."""

    impl = _TEXT
    cache_ok = True

    def process_bind_param(self, value: Routes | None, dialect: Dialect) -> str:
        """On the way in."""
        return _ROUTES.dump_json(value).decode() if value else ""

    def process_result_value(self, value: str | None, dialect: Dialect) -> Routes:
        """On the way out."""
        return _ROUTES.validate_json(value) if value else ()


metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("value", _TEXT, nullable=False),
)

revision_table = Table(
    # As alembic makes it.
    "alembic_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)

events = Table(
    "events",
    metadata,
    Column("incident", _TEXT, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    # Plain text, not Instant: the digest is over the very characters that are stored.
    Column("at", _TEXT, nullable=False),
    Column("by", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("format", Integer, nullable=False),
    Column("body", _TEXT, nullable=False),
    Column("digest", _TEXT, nullable=False),
)

heads = Table(
    "heads",
    metadata,
    Column("incident", _TEXT, primary_key=True),
    Column("key", _TEXT, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("phase", _TEXT, nullable=False),
    Column("title", _TEXT, nullable=False),
    Column("severity", _TEXT, nullable=False),
    Column("opened_at", _Instant, nullable=False),
    Column("closed_at", _Instant),
    Column("wake_at", _Instant),
    # What incidents are looked for by.
    Column("rule", _TEXT, nullable=False, server_default=""),
    Column("team", _TEXT, nullable=False, server_default=""),
    Column("service", _TEXT, nullable=False, server_default=""),
    # What tells incidents of one cause: `daemon.core.incident.onset_facts`.
    Column("verdict", _TEXT, nullable=False, server_default=""),
    Column("onset_from", _Instant),
    Column("onset_until", _Instant),
    Column("suspect", _TEXT, nullable=False, server_default=""),
    Column("recovered_at", _Instant),
    # What came of it (`daemon.core.incident.outcome_facts`), and how much is still to come of a
    # closed one, which stays here until then.
    Column("outcome", _Outcome),
    Column("pending", Integer, nullable=False, server_default="0"),
    # Whose alerts come to it besides those of its key (`daemon.core.incident.alert_routes`).
    Column("routes", _Routes, nullable=False, server_default=""),
    # The replica that conducts it (`daemon.core.ports.replicas`); empty for none, or for the only
    # daemon of its store.
    Column("owner", _TEXT, nullable=False, server_default=""),
    # The highest format of its entries: who knows only earlier ones does not conduct it.
    Column("format", Integer, nullable=False, server_default="1"),
)
head_is_pending = heads.c.pending > 0
head_is_open = heads.c.closed_at.is_(None)
head_has_routes = func.length(heads.c.routes) > 0
is_drill = heads.c.key.startswith(key_prefix(), autoescape=True)
Index(
    "one_open_incident_per_key",
    heads.c.key,
    unique=True,
    info={_PARTIAL: head_is_open},
)
Index("heads_by_age", heads.c.opened_at)
Index("heads_by_rule", heads.c.rule, heads.c.opened_at)
Index("heads_by_onset", heads.c.onset_from)
Index(
    "heads_with_routes",
    heads.c.incident,
    info={_PARTIAL: head_has_routes},
)
Index(
    "heads_pending",
    heads.c.opened_at,
    info={_PARTIAL: head_is_pending},
)
Index("open_heads_by_owner", heads.c.owner, info={_PARTIAL: head_is_open})

actions_table = Table(
    "actions",
    metadata,
    # A step may be tried again, so (incident, step) names the holder but not the row.
    Column("number", _COUNTER, primary_key=True),
    Column("incident", _TEXT, nullable=False),
    Column("step", Integer, nullable=False),
    Column("target", _TEXT, nullable=False),
    Column("started_at", _Instant, nullable=False),
    Column("finished_at", _Instant),
    # What the budgets count by; empty in rows from before schema 2.
    Column("rule", _TEXT, nullable=False, server_default=""),
    Column("team", _TEXT, nullable=False, server_default=""),
    Column("domain", _TEXT, nullable=False, server_default=""),
    # Started by a person's word: no budget counts it. Rows from before schema 6 do not tell, and
    # count.
    Column("by_person", Boolean, nullable=False, server_default="0"),
)
action_runs = actions_table.c.finished_at.is_(None)
action_of_drill = actions_table.c.incident.startswith(id_prefix(), autoescape=True)
Index(
    "one_running_action_per_target",
    actions_table.c.target,
    unique=True,
    info={_PARTIAL: action_runs},
)
Index("actions_by_end", actions_table.c.target, actions_table.c.finished_at)
Index("actions_by_start", actions_table.c.started_at)

freezes_table = Table(
    "freezes",
    metadata,
    Column("scope", _TEXT, primary_key=True),
    Column("reason", _TEXT, nullable=False),
    Column("by", _TEXT, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("until", _Instant),
    # A thawed freeze stays until the next one of its scope, to tell who lifted it.
    Column("thawed_by", _TEXT),
    Column("thawed_at", _Instant),
)

maintenance_table = Table(
    "maintenance_windows",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("scope", _TEXT, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("by", _TEXT, nullable=False),
    Column("announced_at", _Instant, nullable=False),
    Column("begins_at", _Instant, nullable=False),
    Column("ends_at", _Instant, nullable=False),
    Column("public_text", _TEXT, nullable=False, server_default=""),
    # Ended before its announced end, or called off before it began.
    Column("ended_by", _TEXT),
    Column("ended_at", _Instant),
)

oncall_overrides = Table(
    "oncall_overrides",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("schedule", _TEXT, nullable=False),
    Column("person", _TEXT, nullable=False),
    Column("replaces", _TEXT, nullable=False),
    Column("start", _Instant, nullable=False),
    Column("until", _Instant, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("by", _TEXT, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("swap", _TEXT, nullable=False),
    # A removed one stays, to tell who removed it.
    Column("removed_by", _TEXT),
    Column("removed_at", _Instant),
)
Index("oncall_overrides_by_end", oncall_overrides.c.until)

oncall_swaps = Table(
    "oncall_swaps",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("schedule", _TEXT, nullable=False),
    Column("asker", _TEXT, nullable=False),
    Column("asked", _TEXT, nullable=False),
    Column("start", _Instant, nullable=False),
    Column("until", _Instant, nullable=False),
    Column("return_start", _Instant),
    Column("return_until", _Instant),
    Column("reason", _TEXT, nullable=False),
    Column("at", _Instant, nullable=False),
    # Empty while it waits for one.
    Column("answer", _TEXT, nullable=False),
    Column("answered_at", _Instant),
)

changes_table = Table(
    "changes",
    metadata,
    Column("subject", _TEXT, primary_key=True),
    Column("item", _TEXT, primary_key=True),
    Column("previous", _TEXT, nullable=False),
    Column("at", _Instant, primary_key=True),
    Column("seen_by", _TEXT, nullable=False),
    Column("text", _TEXT, nullable=False, server_default=""),
    Column("target", _TEXT, nullable=False, server_default=""),
    Column("labels", _Labels, nullable=False, server_default="{}"),
)
Index("changes_by_time", changes_table.c.at)

marks = Table(
    "marks",
    metadata,
    Column("subject", _TEXT, primary_key=True),
    Column("item", _TEXT, primary_key=True),
    Column("mark", _TEXT, nullable=False),
    Column("at", _Instant, nullable=False),
    Column("incident", _TEXT, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    # What the journal as a whole went through, in one chain over all incidents.
    Column("number", _COUNTER, primary_key=True, autoincrement=False),
    # Plain text all of it, as in `events`: the digest is over what is stored.
    Column("at", _TEXT, nullable=False),
    Column("kind", _TEXT, nullable=False),
    Column("incident", _TEXT, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("body", _TEXT, nullable=False),
    Column("digest", _TEXT, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    # The order of arrival: clocks repeat themselves and step back, this does not.
    Column("arrival", _COUNTER, primary_key=True),
    Column("identity", _TEXT, nullable=False, unique=True),
    Column("received_at", _Instant, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("processed", Boolean, nullable=False),
    # The replica that took it and works it off.
    Column("owner", _TEXT, nullable=False, server_default=""),
)
delivery_waits = inbox.c.processed.is_(False)
Index(
    "deliveries_waiting",
    inbox.c.arrival,
    info={_PARTIAL: delivery_waits},
)

replicas_table = Table(
    "replicas",
    metadata,
    Column("name", _TEXT, primary_key=True),
    # Tells a process from an earlier one of the same name.
    Column("instance", _TEXT, nullable=False),
    Column("version", _TEXT, nullable=False),
    Column("format", Integer, nullable=False),
    Column("rules", _TEXT, nullable=False),
    Column("started_at", _Instant, nullable=False),
    Column("renewed_at", _Instant, nullable=False),
    # NULL where there can be one daemon only.
    Column("lease_until", _Instant),
    Column("ahead", Float, nullable=False),
)

alert_ends = Table(
    "alert_ends",
    metadata,
    Column("alert", _TEXT, primary_key=True),
    Column("ends_at", _Instant, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    # The hash of what the cookie holds; whoever reads this table cannot be anybody.
    Column("id", _TEXT, primary_key=True),
    Column("person", _TEXT, nullable=False),
    Column("proof", _TEXT, nullable=False),
    Column("started_at", _Instant, nullable=False),
    Column("ends_at", _Instant, nullable=False),
    Column("client", _TEXT, nullable=False),
    Column("granted", _TEXT),
    Column("guest", Boolean, nullable=False),
)
Index("sessions_by_end", sessions.c.ends_at)

tokens = Table(
    "tokens",
    metadata,
    Column("id", _TEXT, primary_key=True),
    Column("digest", _TEXT, nullable=False, unique=True),
    Column("person", _TEXT, nullable=False),
    Column("name", _TEXT, nullable=False),
    # Scopes parted by spaces.
    Column("scopes", _TEXT, nullable=False),
    Column("created_at", _Instant, nullable=False),
    Column("expires_at", _Instant),
    # A day, YYYY-MM-DD in UTC: when somebody works is nobody's business.
    Column("used_on", _TEXT),
    Column("revoked_at", _Instant),
    Column("revoked_by", _TEXT),
)
Index("tokens_by_person", tokens.c.person)

# ── what replicas share ──────────────────────────────────────────────────────────────────────────

news_table = Table(
    "news",
    metadata,
    # Counts what changes and has no row in the ledger: `daemon.adapters.store.news`.
    Column("topic", _TEXT, primary_key=True),
    Column("number", Integer, nullable=False),
)

duties_table = Table(
    "duties",
    metadata,
    Column("name", _TEXT, primary_key=True),
    Column("owner", _TEXT, nullable=False),
    Column("lease_until", _Instant, nullable=False),
)


@event.listens_for(metadata, "before_create")
def _make_partial(_: MetaData, connection: Connection, **__: object) -> None:
    """Tell the dialect in use of the parts. An index that was told of both from the beginning would
    load both, and one costs a fortieth of a start."""
    for table in metadata.tables.values():
        for index in table.indexes:
            if _PARTIAL in index.info:
                options = index.dialect_options[connection.dialect.name]
                options["where"] = index.info[_PARTIAL]
