"""What `stopgap doctor` says of the server that answers PromQL: its kind, lag and rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from daemon.core.measurement.flavours import MetricsFlavour, MetricsServer
from daemon.core.values.formats import printable
from daemon.core.values.units import format_duration
from daemon.onboarding.findings import Finding, good, warning, wrong

_CHECK = "prometheus"


def judge_server(
    server: MetricsServer, found: MetricsServer, given: MetricsFlavour | None
) -> Finding:
    """Of which kind it is: `found` by asking it, `given` by the settings (None: not at all)."""
    told = f"it is {found.title} ({printable(found.told_by)})"
    if given is not None and found.flavour != given and _certain(found):
        text = f"{told}, and the settings say {server.traits.title}"
        return wrong(_CHECK, text, f"set `prometheus.flavour: {found.flavour}`, or leave it out")
    if given is None and not _certain(found):
        text = "it does not tell what it is, and is taken for Prometheus"
        return warning(_CHECK, text, "set `prometheus.flavour`, for others answer otherwise")
    return good(_CHECK, f"it is {server.title} ({printable(server.told_by)})")


def judge_lag(
    server: MetricsServer, plainly: timedelta | None, ours: timedelta | None, max_age: timedelta
) -> Finding:
    """How old the newest sample is that it tells, asked `plainly`, and as our queries are asked;
    None if it has no scrape targets. What is older than `max_age` is not believed."""
    if plainly is None or ours is None:
        mend = "it has no `up`: are the targets scraped, and does it get their `up`?"
        return warning(_CHECK, "how far its answers are behind cannot be measured", mend)
    text = f"the newest sample that it tells is {_short(ours)} old"
    if ours > max_age:
        text = f"{text}: more than {_short(max_age)} is taken for a monitoring outage"
        return wrong(_CHECK, text, "look whether it scrapes, and where its samples are held up")
    if server.traits.parameters and plainly > ours + timedelta(seconds=2):
        asked = "&".join(f"{name}={value}" for name, value in server.traits.parameters.items())
        text = f"asked plainly its answers are {_short(plainly)} old, with {asked} {_short(ours)}"
    if server.repeats:
        text += (
            f"; the last {_short(server.repeats)} of its range queries repeat one value, so they "
            "are asked for one by one"
        )
    if server.behind:
        text += f"; verification waits {_short(server.behind)} longer, until all can be seen"
    return good(_CHECK, text)


def judge_alerting(server: MetricsServer, groups: int) -> Finding | None:
    """Whether it tells its alerting rules, where another program has them; None if there is nothing
    to say."""
    if groups or server.flavour != "victoriametrics":
        return None
    return warning(
        _CHECK,
        "/api/v1/rules is empty: it knows no vmalert, so that `stopgap init` finds no alerts in it",
        "start it with -vmalert.proxyURL=http://VMALERT:8880, and vmalert with -remoteWrite.url, "
        "so that ALERTS are stored: storms and `depends_on` are seen by them",
    )


def hint_findings(rule: str, hints: Sequence[str]) -> list[Finding]:
    """What the server remarks about a rule's queries; it changes nothing in what is measured."""
    return [
        good(f"rule {rule}", f"a hint, which changes no verdict: {printable(hint)[:300]}")
        for hint in dict.fromkeys(hints)
    ]


def _certain(found: MetricsServer) -> bool:
    return found.flavour != "prometheus" or bool(found.version)


def _short(span: timedelta) -> str:
    return format_duration(timedelta(seconds=max(0, round(span.total_seconds()))))
