"""The tables, the same for every database, and the indexes over them."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    event,
    func,
)

from daemon.adapters.store.column_types import (
    COUNTER,
    PLAIN_TEXT,
    LabelsText,
    MomentText,
    OutcomeText,
    RoutesText,
)
from daemon.core.values.drill_key import id_prefix, key_prefix

SCHEMA = 11
"""Counts the revisions of these tables; `upgrading` brings an earlier one up to it. Each has a
file in `upgrading/versions`, and what it makes must equal what stands here."""

COMPATIBLE = 11
"""The earliest schema whose programs may go on with these tables: what was added since has
defaults, and nothing that they use has changed. A step that breaks this sets it to its own
number."""

_PARTIAL = "where"
"""What an index's `info` has by this name are the rows that it is for, if not for all."""


metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", PLAIN_TEXT, primary_key=True),
    Column("value", PLAIN_TEXT, nullable=False),
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
    Column("incident", PLAIN_TEXT, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    # Plain text, not MomentText: the digest is over the very characters that are stored.
    Column("at", PLAIN_TEXT, nullable=False),
    Column("by", PLAIN_TEXT, nullable=False),
    Column("kind", PLAIN_TEXT, nullable=False),
    Column("format", Integer, nullable=False),
    Column("body", PLAIN_TEXT, nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
)

heads = Table(
    "heads",
    metadata,
    Column("incident", PLAIN_TEXT, primary_key=True),
    Column("key", PLAIN_TEXT, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("phase", PLAIN_TEXT, nullable=False),
    Column("title", PLAIN_TEXT, nullable=False),
    Column("severity", PLAIN_TEXT, nullable=False),
    Column("opened_at", MomentText, nullable=False),
    Column("closed_at", MomentText),
    Column("wake_at", MomentText),
    # What incidents are looked for by.
    Column("rule", PLAIN_TEXT, nullable=False, server_default=""),
    Column("team", PLAIN_TEXT, nullable=False, server_default=""),
    Column("service", PLAIN_TEXT, nullable=False, server_default=""),
    # What tells incidents of one cause: `daemon.core.incident.onset_facts`.
    Column("verdict", PLAIN_TEXT, nullable=False, server_default=""),
    Column("onset_from", MomentText),
    Column("onset_until", MomentText),
    Column("suspect", PLAIN_TEXT, nullable=False, server_default=""),
    Column("recovered_at", MomentText),
    # What came of it (`daemon.core.incident.outcome_facts`), and how much is still to come of a
    # closed one, which stays here until then.
    Column("outcome", OutcomeText),
    Column("pending", Integer, nullable=False, server_default="0"),
    # Whose alerts come to it besides those of its key (`daemon.core.incident.alert_routes`).
    Column("routes", RoutesText, nullable=False, server_default=""),
    # The replica that conducts it (`daemon.core.ports.replicas`); empty for none, or for the only
    # daemon of its store.
    Column("owner", PLAIN_TEXT, nullable=False, server_default=""),
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
    Column("number", COUNTER, primary_key=True),
    Column("incident", PLAIN_TEXT, nullable=False),
    Column("step", Integer, nullable=False),
    Column("target", PLAIN_TEXT, nullable=False),
    Column("started_at", MomentText, nullable=False),
    Column("finished_at", MomentText),
    # What the budgets count by; empty in rows from before schema 2.
    Column("rule", PLAIN_TEXT, nullable=False, server_default=""),
    Column("team", PLAIN_TEXT, nullable=False, server_default=""),
    Column("domain", PLAIN_TEXT, nullable=False, server_default=""),
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
    Column("scope", PLAIN_TEXT, primary_key=True),
    Column("reason", PLAIN_TEXT, nullable=False),
    Column("by", PLAIN_TEXT, nullable=False),
    Column("at", MomentText, nullable=False),
    Column("until", MomentText),
    # A thawed freeze stays until the next one of its scope, to tell who lifted it.
    Column("thawed_by", PLAIN_TEXT),
    Column("thawed_at", MomentText),
)

maintenance_table = Table(
    "maintenance_windows",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("scope", PLAIN_TEXT, nullable=False),
    Column("reason", PLAIN_TEXT, nullable=False),
    Column("by", PLAIN_TEXT, nullable=False),
    Column("announced_at", MomentText, nullable=False),
    Column("begins_at", MomentText, nullable=False),
    Column("ends_at", MomentText, nullable=False),
    Column("public_text", PLAIN_TEXT, nullable=False, server_default=""),
    # Ended before its announced end, or called off before it began.
    Column("ended_by", PLAIN_TEXT),
    Column("ended_at", MomentText),
)

oncall_overrides = Table(
    "oncall_overrides",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("schedule", PLAIN_TEXT, nullable=False),
    Column("person", PLAIN_TEXT, nullable=False),
    Column("replaces", PLAIN_TEXT, nullable=False),
    Column("start", MomentText, nullable=False),
    Column("until", MomentText, nullable=False),
    Column("reason", PLAIN_TEXT, nullable=False),
    Column("by", PLAIN_TEXT, nullable=False),
    Column("at", MomentText, nullable=False),
    Column("swap", PLAIN_TEXT, nullable=False),
    # A removed one stays, to tell who removed it.
    Column("removed_by", PLAIN_TEXT),
    Column("removed_at", MomentText),
)
Index("oncall_overrides_by_end", oncall_overrides.c.until)

oncall_swaps = Table(
    "oncall_swaps",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("schedule", PLAIN_TEXT, nullable=False),
    Column("asker", PLAIN_TEXT, nullable=False),
    Column("asked", PLAIN_TEXT, nullable=False),
    Column("start", MomentText, nullable=False),
    Column("until", MomentText, nullable=False),
    Column("return_start", MomentText),
    Column("return_until", MomentText),
    Column("reason", PLAIN_TEXT, nullable=False),
    Column("at", MomentText, nullable=False),
    # Empty while it waits for one.
    Column("answer", PLAIN_TEXT, nullable=False),
    Column("answered_at", MomentText),
)

changes_table = Table(
    "changes",
    metadata,
    Column("subject", PLAIN_TEXT, primary_key=True),
    Column("item", PLAIN_TEXT, primary_key=True),
    Column("previous", PLAIN_TEXT, nullable=False),
    Column("at", MomentText, primary_key=True),
    Column("seen_by", PLAIN_TEXT, nullable=False),
    Column("text", PLAIN_TEXT, nullable=False, server_default=""),
    Column("target", PLAIN_TEXT, nullable=False, server_default=""),
    Column("labels", LabelsText, nullable=False, server_default="{}"),
)
Index("changes_by_time", changes_table.c.at)

marks = Table(
    "marks",
    metadata,
    Column("subject", PLAIN_TEXT, primary_key=True),
    Column("item", PLAIN_TEXT, primary_key=True),
    Column("mark", PLAIN_TEXT, nullable=False),
    Column("at", MomentText, nullable=False),
    Column("incident", PLAIN_TEXT, nullable=False),
)

ledger = Table(
    "ledger",
    metadata,
    # What the journal as a whole went through, in one chain over all incidents.
    Column("number", COUNTER, primary_key=True, autoincrement=False),
    # Plain text all of it, as in `events`: the digest is over what is stored.
    Column("at", PLAIN_TEXT, nullable=False),
    Column("kind", PLAIN_TEXT, nullable=False),
    Column("incident", PLAIN_TEXT, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("body", PLAIN_TEXT, nullable=False),
    Column("digest", PLAIN_TEXT, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    # The order of arrival: clocks repeat themselves and step back, this does not.
    Column("arrival", COUNTER, primary_key=True),
    Column("identity", PLAIN_TEXT, nullable=False, unique=True),
    Column("received_at", MomentText, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("processed", Boolean, nullable=False),
    # The replica that took it and works it off.
    Column("owner", PLAIN_TEXT, nullable=False, server_default=""),
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
    Column("name", PLAIN_TEXT, primary_key=True),
    # Tells a process from an earlier one of the same name.
    Column("instance", PLAIN_TEXT, nullable=False),
    Column("version", PLAIN_TEXT, nullable=False),
    Column("format", Integer, nullable=False),
    Column("rules", PLAIN_TEXT, nullable=False),
    Column("started_at", MomentText, nullable=False),
    Column("renewed_at", MomentText, nullable=False),
    # NULL where there can be one daemon only.
    Column("lease_until", MomentText),
    Column("ahead", Float, nullable=False),
)

alert_ends = Table(
    "alert_ends",
    metadata,
    Column("alert", PLAIN_TEXT, primary_key=True),
    Column("ends_at", MomentText, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    # The hash of what the cookie holds; whoever reads this table cannot be anybody.
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("person", PLAIN_TEXT, nullable=False),
    Column("proof", PLAIN_TEXT, nullable=False),
    Column("started_at", MomentText, nullable=False),
    Column("ends_at", MomentText, nullable=False),
    Column("client", PLAIN_TEXT, nullable=False),
    Column("granted", PLAIN_TEXT),
    Column("guest", Boolean, nullable=False),
)
Index("sessions_by_end", sessions.c.ends_at)

tokens = Table(
    "tokens",
    metadata,
    Column("id", PLAIN_TEXT, primary_key=True),
    Column("digest", PLAIN_TEXT, nullable=False, unique=True),
    Column("person", PLAIN_TEXT, nullable=False),
    Column("name", PLAIN_TEXT, nullable=False),
    # Scopes parted by spaces.
    Column("scopes", PLAIN_TEXT, nullable=False),
    Column("created_at", MomentText, nullable=False),
    Column("expires_at", MomentText),
    # A day, YYYY-MM-DD in UTC: when somebody works is nobody's business.
    Column("used_on", PLAIN_TEXT),
    Column("revoked_at", MomentText),
    Column("revoked_by", PLAIN_TEXT),
)
Index("tokens_by_person", tokens.c.person)

# ── what replicas share ──────────────────────────────────────────────────────────────────────────

news_table = Table(
    "news",
    metadata,
    # Counts what changes and has no row in the ledger: `daemon.adapters.store.news`.
    Column("topic", PLAIN_TEXT, primary_key=True),
    Column("number", Integer, nullable=False),
)

duties_table = Table(
    "duties",
    metadata,
    Column("name", PLAIN_TEXT, primary_key=True),
    Column("owner", PLAIN_TEXT, nullable=False),
    Column("lease_until", MomentText, nullable=False),
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
