"""Pages outside a policy, each once for its occasion; and what every page has in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from daemon.core.incident import events as e
from daemon.core.incident.alert_words import first_summary
from daemon.core.incident.occasions import occasion_of
from daemon.core.incident.page_identity import Purpose, page_id
from daemon.core.incident.state import Incident, PageState
from daemon.core.measurement.problem import MONITORING_OUTAGE

_ASKS: Mapping[Purpose, e.Asks] = {
    "role_request": "answer",
    "update": "send",
    "sign_of_life": "alive",
    "drill_over": "",
    "organized": "",
}
"""What a page wants of its person, if not to respond."""
CALLS_TO_RESPOND: frozenset[Purpose] = frozenset({"escalation", "unattended", "snoozed"})
"""The purposes of pages that call somebody in, whoever it may be."""
STORM_PAGES: frozenset[Purpose] = frozenset({"storm", "storm_growth"})
"""The purposes of pages that stand for all incidents of a storm."""
STORM_ALERT = "storm"
"""The one alert of a pager that they all are."""

_WHY = 200
"""So many characters of why nothing can be measured are told."""


def direct_page(
    incident: Incident,
    person: str,
    purpose: Purpose,
    text: str,
    about: str = "",
    *,
    occasion: int | None = None,
) -> tuple[e.PageQueued, ...]:
    """A page to this person outside any policy, unless they were paged for this occasion already
    or nobody is named.

    `occasion`: the present one if None; named where it only begins by what is recorded with the
    page.
    """
    if not person:
        return ()
    number = occasion_of(incident, purpose, about) if occasion is None else occasion
    for page in incident.pages.values():
        same = page.queued.person == person and page.is_for(purpose, about)
        if same and page.occasion == number:
            return ()
    return (
        e.PageQueued(
            page=page_id(purpose, about, number, person),
            person=person,
            purpose=purpose,
            about=about,
            occasion=number,
            text=text,
            facts=facts_within(incident, text),
            asks=_ASKS.get(purpose, "acknowledge"),
        ),
    )


def alert_of(page: e.PageQueued) -> str:
    """Which alert of a pager that keeps state the page belongs to; empty for the incident's own.

    All calls to respond are one alert. Whatever is asked of somebody who is there already is
    another: such pagers stay silent about an alert that was acknowledged. So are a storm's pages,
    all together.
    """
    if page.purpose in STORM_PAGES:
        return STORM_ALERT
    return "" if page.purpose in CALLS_TO_RESPOND else page.page


def delivered_pages(pages: Iterable[PageState]) -> list[PageState]:
    """Those that a pager took."""
    return [page for page in pages if page.delivered_at is not None]


def without_rule(incident: Incident) -> str:
    """Why there is no rule, for a sentence."""
    known = incident.organization
    if known.declared is not None:
        return "it was declared without a rule"
    return "it was split off without a rule" if known.split_from else "no rule matches it"


def facts_within(incident: Incident, text: str) -> str:
    """What of the text tells how the incident stands now, so that it can be told anew later."""
    facts = headline(incident)
    return facts if facts in text else ""


def text_now(incident: Incident, page: e.PageQueued) -> str:
    """What the page says, with what it tells of the incident as that stands now."""
    if not page.facts:
        return page.text
    return page.text.replace(page.facts, headline(incident), 1)


def headline(incident: Incident) -> str:
    """The incident in one line, as it stands now."""
    parts = [incident.title]
    if not incident.rule:
        parts += filter(None, [first_summary(incident)])
    if incident.problem is None and incident.rule:
        parts.append("measuring now")
    elif incident.problem is not None and incident.confirmed is None:
        parts.append(f"not confirmed: {incident.problem.reason.replace('_', ' ')}")
        if incident.problem.reason in MONITORING_OUTAGE:
            parts.append("the monitoring is out, so nothing can be judged and nothing will be done")
        if incident.problem.reason == "own_targets_down":
            parts.append(incident.problem.text)  # the title is still the alert's
        if incident.problem.verdict == "query_error":
            # Whoever is called must see what to mend, so that it can be measured.
            parts.append(incident.problem.text.partition("; ")[0][:_WHY])
    if not incident.rule:
        why = without_rule(incident)
        parts.append(f"{why}: nothing is measured, nothing will be done by itself")
    running = incident.running or incident.verifying
    if running is not None:
        parts.append(f"{running.action} is {'running' if incident.running else 'being verified'}")
    return " · ".join(parts)
