"""The alert's own words: what whoever wrote the alerting rule wants to be read at night.

They are others' text: shortened, on lines without control characters, and only addresses of http
become links. Where no rule matched they are all that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from daemon.core import grafana
from daemon.core.rules.label_names import label_text
from daemon.core.values.units import printable

if TYPE_CHECKING:  # an incident is what they are read from
    from daemon.core.alertmanager import Alert
    from daemon.core.incident.state import Incident

SUMMARY, DESCRIPTION, ADDRESS = 300, 1000, 2000
"""Characters of each that are told."""
SHOWN = 3
"""So many alerts that say something different are told."""
_LOOKED_AT = 100
"""So many are looked at for that: there may be ten thousand, and each decision reads them."""
_DASHBOARDS = (grafana.DASHBOARD, "dashboard_url", "dashboard", "dashboardURL", "panel_url")
_RUNBOOKS = ("runbook_url", "runbook")
_GRAFANA_UID, _GRAFANA_PANEL = "__dashboardUid__", "__panelId__"


@dataclass(frozen=True)
class AlertLink:
    """Where an alert leads to: `Runbook`, `Dashboard`, `Source` (what fired it), and with Grafana
    `Panel` and `Picture`."""

    name: str
    url: str


@dataclass(frozen=True)
class AlertWords:
    """What one alert says."""

    alert: str
    summary: str
    description: str
    links: tuple[AlertLink, ...]


def alert_words(incident: Incident) -> tuple[AlertWords, ...]:
    """What its alerts say, those that fire first; each thing once, at most SHOWN."""
    every = incident.alerts.values()
    firing = (alert for alert in every if alert.status == "firing")
    over = (alert for alert in every if alert.status != "firing")
    found: dict[AlertWords, None] = {}
    for alert in islice(chain(firing, over), _LOOKED_AT):
        found.setdefault(_words(alert))
        if len(found) == SHOWN:
            break
    return tuple(found)


def first_summary(incident: Incident) -> str:
    """The first thing that one of them says of itself; empty if none does."""
    told = (one.summary or one.description for one in alert_words(incident))
    return next((text for text in told if text), "")


def alert_links(incident: Incident) -> tuple[AlertLink, ...]:
    """Where all that is told leads to, each address once; the silence last."""
    silence = silence_link(incident)
    found = {link.url: link for one in alert_words(incident) for link in one.links}
    if silence:
        found[silence] = AlertLink("Silence", silence)
    return tuple(found.values())


def silence_link(incident: Incident) -> str:
    """Where Alertmanager, or Grafana, offers to silence exactly what its alerts have in common;
    empty if it did not say where it is, or nothing is in common."""
    offered = [alert.annotations.get(grafana.SILENCE, "") for alert in incident.alerts.values()]
    if any(offered):
        return _silence_in_grafana(offered)
    base = http_address(incident.alertmanager_url)
    common = _common(alert.labels for alert in incident.alerts.values())
    if not base or not common:
        return ""
    matchers = ",".join(f"{label_text(name)}={_quoted(common[name])}" for name in sorted(common))
    link = f"{base.rstrip('/')}/#/silences/new?filter={quote(f'{{{matchers}}}', safe='')}"
    return link if len(link) <= ADDRESS else ""


def _silence_in_grafana(offered: Sequence[str]) -> str:
    """What Grafana offers for each alert, with the matchers that all of them have in common."""
    parts = [urlsplit(http_address(url)) for url in dict.fromkeys(offered[:_LOOKED_AT])]
    if len(parts) == 1 or not all(part[:3] == parts[0][:3] for part in parts):
        return parts[0].geturl() if len(parts) == 1 else ""
    asked = [parse_qsl(part.query) for part in parts]
    common = [pair for pair in asked[0] if all(pair in other for other in asked[1:])]
    if not any(name == "matcher" for name, _ in common):
        return ""
    return http_address(parts[0]._replace(query=urlencode(common)).geturl())


def http_address(text: str) -> str:
    """The text if it is an address that a browser may be sent to, else nothing."""
    address = text.strip()
    if len(address) > ADDRESS or any(not c.isprintable() or c.isspace() for c in address):
        return ""
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return ""
    return address if parts.scheme.lower() in {"http", "https"} and host else ""


def _words(alert: Alert) -> AlertWords:
    told = alert.annotations
    summary = told.get("summary") or told.get("message") or ""
    return AlertWords(
        alert=_cut(alert.name, SUMMARY),
        summary=_cut(summary, SUMMARY),
        description=_description(told),
        links=tuple(_links(alert)),
    )


def _description(told: Mapping[str, str]) -> str:
    """What it says at length, and the values that fired it, where Grafana tells them."""
    text, values = told.get("description", ""), told.get(grafana.VALUES, "")
    if not values:
        return _cut(text, DESCRIPTION)
    measured = _cut(f"({values})", SUMMARY)
    return f"{_cut(text, DESCRIPTION - len(measured) - 1)} {measured}".strip()


def _links(alert: Alert) -> Iterator[AlertLink]:
    told, source = alert.annotations, http_address(alert.generator_url)
    candidates = [
        ("Runbook", _first(told, _RUNBOOKS)),
        ("Dashboard", _first(told, _DASHBOARDS) or _grafana(told, source)),
        ("Panel", _first(told, (grafana.PANEL,))),
        ("Picture", _first(told, (grafana.PICTURE,))),
        ("Source", source),
    ]
    yield from (AlertLink(name, url) for name, url in candidates if url)


def _first(told: Mapping[str, str], names: Iterable[str]) -> str:
    return next((url for name in names if (url := http_address(told.get(name, "")))), "")


def _grafana(told: Mapping[str, str], source: str) -> str:
    """The dashboard that Grafana names by its id; the address of Grafana is that of the source."""
    uid, panel = told.get(_GRAFANA_UID, ""), told.get(_GRAFANA_PANEL, "")
    base, found, _ = source.partition("/alerting/")
    if not uid or not found:
        return ""
    view = f"?viewPanel={quote(panel, safe='')}" if panel else ""
    return http_address(f"{base}/d/{quote(uid, safe='')}{view}")


def _common(labels: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The labels that all of them have alike."""
    every = [one.items() for one in labels]
    if not every:
        return {}
    return dict(set(every[0]).intersection(*every[1:]))


def _quoted(value: str) -> str:
    """As Alertmanager's matchers quote: they know these three escapes, and take the rest as is."""
    text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _cut(text: str, most: int) -> str:
    line = " ".join(printable(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"
