"""What a page is for, and the id that follows from it.

A page is one call to one person because of one occasion: the second relapse is another occasion
than the first. Its id is derived from that and from nothing else, so a restart that decides the
same makes the same id. Ids stand in links and in the keys of pagers: they are made of names of
the roster, words of ours, digits and `.`, `-`, `+`, `_`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Purpose = Literal[
    "escalation",
    "engagement",
    "unattended",
    "approval",
    "verdict",
    "relapse",
    "diagnosis",
    "refired",
    "severity",
    "milestone",
    "role_request",
    "vacancy",
    "unanswered",
    "deputy",
    "sign_of_life",
    "update",
    "jump",
    "snoozed",
    "autonomy",
    "help",
    "drill_over",
    "organized",
    "storm",
    "storm_growth",
    "other",
]
"""Why somebody is paged.

`escalation`: the team's policy; `engagement`: an expert team's; `jump`: a person asked for a tier;
`snoozed`: whoever put their call off is called again; `unattended`: the watchdog found that nobody
is called. `approval`, `verdict`, `relapse`,
`diagnosis`, `refired`: the recovery needs a person. `severity`: the ladder of leads.
`milestone`: one is late. `role_request`, `vacancy` (nobody took a role), `unanswered` (nobody of
an engaged team came), `deputy`, `sign_of_life`: the roles. `update`: one waits to be sent.
`autonomy`: the rule lost its own over this incident. `help`: whoever looks for the cause needs a
team. `drill_over`: the drill was stopped. `organized`: it is another team's now, or part of another
incident. `storm`: one page for all incidents of a storm; `storm_growth`: it has grown, or more of
it waits for the person.
`other`: what a journal from elsewhere calls otherwise.
"""


@dataclass(frozen=True)
class _Form:
    """How ids of a purpose begin. `numbered_from`: the first occasion that the id names."""

    stem: str = ""
    numbered_from: int | None = None
    by_policy: bool = False


_FORMS: Mapping[Purpose, _Form] = {
    "escalation": _Form(by_policy=True),
    "engagement": _Form("engage", by_policy=True),
    "unattended": _Form("unattended", 0),
    "approval": _Form("approval", 1),
    "verdict": _Form("verdict"),
    "relapse": _Form("relapse", 0),
    "diagnosis": _Form("diagnosis", 0),
    "refired": _Form("refired", 0),
    "severity": _Form("severity"),
    "milestone": _Form("late"),
    "role_request": _Form("role"),
    "vacancy": _Form("vacant", 1),
    "unanswered": _Form("unanswered"),
    "deputy": _Form("deputy", 0),
    "sign_of_life": _Form("alive", 0),
    "update": _Form("update", 2),
    "jump": _Form("jump", 0),
    "snoozed": _Form("again", 0),
    "autonomy": _Form("autonomy"),
    "help": _Form("help"),
    "drill_over": _Form("drill-over"),
    "organized": _Form("organized", 1),
    "storm": _Form("storm", 1),
    "storm_growth": _Form("storm-growth", 1),
    "other": _Form("", 1),
}


def page_id(
    purpose: Purpose,
    about: str,
    occasion: int,
    person: str,
    *,
    round_: int = 0,
    tier: int = 0,
    attempt: int = 0,
) -> str:
    """The id of a page. `round_` and `tier` count for the purposes that follow a policy."""
    form = _FORMS[purpose]
    numbered = form.numbered_from is not None and occasion >= form.numbered_from
    call = "-".join(filter(None, (form.stem, about, str(occasion) if numbered else "")))
    if form.by_policy:
        call = ".".join(filter(None, (call, f"r{round_}.t{tier}")))
    return f"{call}.{person}" + (f"+{attempt}" if attempt else "")


def person_of(page: str) -> str:
    """Who is called by the page of this id."""
    return page.rpartition(".")[2].partition("+")[0]


# ── pages from before purposes ───────────────────────────────────────────────────────────────

_BY_REASON: tuple[tuple[Purpose, re.Pattern[str]], ...] = (
    ("escalation", re.compile(r"escalation")),
    ("engagement", re.compile(r"engage-(?P<about>.+)")),
    ("unattended", re.compile(r"unattended-(?P<occasion>\d+)")),
    ("approval", re.compile(r"approval-(?P<about>\d+-.+)")),
    ("verdict", re.compile(r"(?:partial|inconclusive|worse)-(?P<about>\d+)")),
    ("relapse", re.compile(r"relapse-(?P<occasion>\d+)")),
    ("diagnosis", re.compile(r"diagnosis-(?P<occasion>\d+)")),
    ("refired", re.compile(r"refired-(?P<occasion>\d+)")),
    ("severity", re.compile(r"severity-(?P<about>.+)")),
    ("milestone", re.compile(r"late-(?P<about>.+)")),
    ("role_request", re.compile(r"role-(?P<about>.+)")),
    ("vacancy", re.compile(r"vacant-(?P<about>.+)")),
    ("unanswered", re.compile(r"unanswered-(?P<about>.+)")),
    ("deputy", re.compile(r"deputy-(?P<occasion>\d+)")),
    ("sign_of_life", re.compile(r"alive-(?P<occasion>\d+)")),
    ("update", re.compile(r"update-(?P<about>.+\.\d+)(?:-(?P<occasion>\d+))?")),
    ("jump", re.compile(r"jump-(?P<occasion>\d+)")),
)
_FIRST_UPDATE = 1
"""The occasion of the first call for an update, which old ids did not number."""


def with_purpose(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a PageQueued from before purposes, whose `reason` was a text made by hand.

    What that text did not count stays uncounted (no `occasion`): the fold counts it.
    """
    purpose, about, occasion = _read(str(fields["reason"]))
    known = {name: value for name, value in fields.items() if name != "reason"}
    return {
        **known,
        "purpose": purpose,
        "about": fields.get("about") or about,
        "occasion": occasion,
    }


def _read(reason: str) -> tuple[Purpose, str, int | None]:
    for purpose, form in _BY_REASON:
        found = form.fullmatch(reason)
        if found is None:
            continue
        parts = found.groupdict()
        occasion = parts.get("occasion")
        if occasion is not None:
            return purpose, parts.get("about") or "", int(occasion)
        return purpose, parts.get("about") or "", _FIRST_UPDATE if purpose == "update" else None
    return "other", reason, None
