"""What an Alertmanager's configuration lacks for its alerts to reach us as they should. Pure: its
configuration as data in, findings out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from daemon.core.values.units import format_duration, parse_duration, printable
from daemon.onboarding.findings import Finding, good, warning, wrong

PATH = "/api/v1/alerts"
HIDDEN_ADDRESS = "<secret>"
"""What newer versions show instead of an address."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LONGEST_WAIT, LONGEST_INTERVAL = timedelta(seconds=5), timedelta(seconds=30)
_DEFAULTS = {"group_wait": "30s", "group_interval": "5m", "repeat_interval": "4h"}
WHERE = "alertmanager"
MERGE = "merge deploy/alertmanager.yml of Stopgap into your configuration"


@dataclass(frozen=True)
class Ours:
    """What Alertmanager should know of us: our `addresses` (host:port), whether its deliveries
    need a `token`, and how long we `remember` a delivery.

    `tls`: our own address, if it speaks https. `certificates`: one of a client does as well as
    the token, and without a token it must be one.
    """

    addresses: Collection[str]
    token: bool
    remember: timedelta
    tls: str = ""
    certificates: bool = False


@dataclass(frozen=True)
class _Route:
    """A route that leads to us, with what it inherits. `before`: it has older siblings that take
    alerts away from it; `after`: younger ones that its alerts do not reach."""

    settings: Mapping[str, Any]
    receiver: str
    root: bool
    before: bool
    after: bool


def judge_routing(config: Any, ours: Ours, *, proven: bool = False) -> list[Finding]:
    """What there is to say of a configuration, as `/api/v2/status` shows it, read from YAML.
    `proven`: a test alert came through, so what it hides need not be guessed."""
    if not isinstance(config, dict) or not isinstance(config.get("route"), dict):
        return [wrong(WHERE, "its configuration cannot be read", "is that an Alertmanager?")]
    receivers = _receivers(config)
    reached, guessed = _reached(receivers, ours)
    if not reached:
        return [_nobody_leads_here(receivers, ours)]
    found = []
    if guessed and not proven:
        names = ", ".join(map(printable, reached))
        text = f"it hides the addresses of its webhooks; {names} is taken for ours"
        found.append(warning(WHERE, text, f"look whether its URL ends with {PATH}"))
    for name, hook in reached.items():
        found += _judge_webhook(name, hook, ours)
    routes = [r for r in _routes(config["route"], _DEFAULTS) if r.receiver in reached]
    if not routes:
        names = " or ".join(map(printable, reached))
        found.append(wrong(WHERE, f"no route leads to the receiver {names}", MERGE))
    for route in routes:
        found += _judge_route(route, ours)
    if all(finding.state == "ok" for finding in found):
        ways = ", ".join(_shown(name, hook) for name, hook in reached.items())
        found.append(good(WHERE, f"its alerts reach us by {ways}"))
    return found


def reached_by(config: Any, ours: Ours) -> tuple[list[str], bool]:
    """The names of the receivers that lead to us, and whether that is a guess, because it hides
    where they lead."""
    if not isinstance(config, dict):
        return [], False
    reached, guessed = _reached(_receivers(config), ours)
    return list(reached), guessed


def _reached(
    receivers: Mapping[str, Mapping[str, Any]], ours: Ours
) -> tuple[dict[str, Mapping[str, Any]], bool]:
    """The webhooks that lead to us; and whether that is a guess."""
    reached = {name: hook for name, hook in receivers.items() if _leads_to(hook, ours)}
    hidden = {name: hook for name, hook in receivers.items() if hook.get("url") == HIDDEN_ADDRESS}
    if reached or not hidden:
        return reached, False
    named = {name: hook for name, hook in hidden.items() if "stopgap" in name.casefold()}
    return named or hidden, True


def _receivers(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The webhooks by receiver; the one of several that looks like ours."""
    found: dict[str, Mapping[str, Any]] = {}
    for receiver in _several(config.get("receivers")):
        for hook in _several(receiver.get("webhook_configs")):
            name = str(receiver.get("name", ""))
            if name not in found or _path(hook).endswith(PATH):
                found[name] = hook
    return found


def _leads_to(hook: Mapping[str, Any], ours: Ours) -> bool:
    address = _alerts_to(hook)
    return address is not None and address in _known(ours)


def _known(ours: Ours) -> set[str]:
    """Our addresses; on loopback we have several names."""
    found = set(ours.addresses)
    for address in ours.addresses:
        host, _, port = address.rpartition(":")
        if host in LOOPBACK:
            found |= {f"{name}:{port}" for name in LOOPBACK}
    return found


def _alerts_to(hook: Mapping[str, Any]) -> str | None:
    """The host:port of a webhook that leads to some Stopgap, or None."""
    return _address(hook) if _path(hook).endswith(PATH) else None


def _address(hook: Mapping[str, Any]) -> str | None:
    try:
        parts = urlsplit(str(hook.get("url", "")))
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
    except ValueError:
        return None
    return f"{parts.hostname}:{port}"


def _path(hook: Mapping[str, Any]) -> str:
    """The path of a webhook; slashes too many do no harm, neither within nor at its end."""
    try:
        path = urlsplit(str(hook.get("url", ""))).path
    except ValueError:
        return ""
    return re.sub("/+", "/", path).rstrip("/")


def _shown(name: str, hook: Mapping[str, Any]) -> str:
    """A receiver with its address, without credentials in it."""
    address = _address(hook)
    if hook.get("url") == HIDDEN_ADDRESS or address is None:
        return printable(name)
    scheme = str(hook["url"]).partition(":")[0]
    path = urlsplit(str(hook["url"])).path
    return printable(f"{name} ({scheme}://{address}{path})")


def _nobody_leads_here(receivers: Mapping[str, Mapping[str, Any]], ours: Ours) -> Finding:
    here = " or ".join(sorted(ours.addresses))
    for name, hook in receivers.items():
        address = _alerts_to(hook)
        if address is not None:
            text = (
                f"its receiver {printable(name)} leads to {printable(address)}, and we are {here}"
            )
            mend = "if that is us by another name, all is well; else correct its `url`"
            return warning(WHERE, text, mend)
        if _address(hook) in _known(ours):
            text = f"its receiver {_shown(name, hook)} leads to us, but to no place for alerts"
            return wrong(WHERE, text, f"end its `url` with {PATH}; until then nobody is paged")
    text = "none of its receivers leads here, so no alert will come"
    return wrong(WHERE, text, f"{MERGE}: a webhook to http://{here}{PATH}")


def _judge_webhook(name: str, hook: Mapping[str, Any], ours: Ours) -> Iterator[Finding]:
    name = printable(name)
    if hook.get("send_resolved") is False:
        text = f"its receiver {name} does not tell when an alert ends"
        yield warning(WHERE, text, f"set `send_resolved: true` for {name}")
    if hook.get("max_alerts"):
        text = f"its receiver {name} cuts notifications off after {hook['max_alerts']} alerts"
        yield warning(WHERE, text, "leave `max_alerts` out")
    given = hook.get("http_config")
    http = given if isinstance(given, dict) else {}
    shown = {"authorization", "basic_auth", "bearer_token", "bearer_token_file", "oauth2"}
    if ours.certificates:
        shown.add("tls_config")
    if ours.tls and _address(hook) == ours.tls and str(hook.get("url")).startswith("http:"):
        text = f"its receiver {name} speaks http, and our port speaks https"
        yield wrong(WHERE, text, f"write https:// in the `url` of {name}")
    if ours.certificates and not ours.token and "tls_config" not in http:
        text = f"its receiver {name} shows no certificate, so its deliveries are refused"
        yield wrong(WHERE, text, f"set `http_config: tls_config: cert_file:` for {name}")
    elif ours.token and not shown & set(http):
        text = f"its receiver {name} shows no token, so its deliveries are refused"
        mend = f"set `http_config: authorization: credentials_file:` for {name}"
        yield wrong(WHERE, text, f"{mend}, with the content of `auth.webhook_token`")


def _routes(
    route: Mapping[str, Any],
    inherited: Mapping[str, Any],
    *,
    root: bool = True,
    before: bool = False,
    after: bool = False,
) -> Iterator[_Route]:
    own = {key: value for key, value in route.items() if key != "routes" and value is not None}
    # `continue` is not handed down.
    settings = {**inherited, "continue": False, **own}
    yield _Route(settings, str(settings.get("receiver", "")), root, before, after)
    children = _several(route.get("routes"))
    for number, child in enumerate(children):
        older, younger = children[:number], children[number + 1 :]
        swallowed = any(not one.get("continue") for one in older)
        yield from _routes(
            child, settings, root=False, before=swallowed, after=after or bool(younger)
        )


def _judge_route(route: _Route, ours: Ours) -> Iterator[Finding]:
    name, settings = printable(route.receiver), route.settings
    for key, most, why in (
        ("group_wait", LONGEST_WAIT, "we hear of the first alert so much later"),
        ("group_interval", LONGEST_INTERVAL, "we hear of a second alert so much later"),
    ):
        given = _duration(settings.get(key))
        if given is not None and given > most:
            text = f"the route to {name} has {key} {format_duration(given)}: {why}"
            yield warning(WHERE, text, f"set `{key}: {format_duration(most)}` or less for it")
    repeat = _duration(settings.get("repeat_interval"))
    if repeat is not None and repeat <= ours.remember:
        text = f"repeat_interval {format_duration(repeat)} of the route to {name} is no longer than"
        text = f"{text} `inbox.remember`, so repeats pass for duplicates"
        yield warning(WHERE, text, "raise the one, or lower the other")
    if not route.root and not settings.get("continue") and route.after:
        text = f"the route to {name} keeps its alerts from the routes after it"
        yield warning(WHERE, text, "add `continue: true`, if the others should hear of them too")
    if route.before:
        text = f"routes before that to {name} keep their alerts to themselves"
        mend = "put ours first, with `continue: true`, or add `continue: true` to those"
        yield warning(WHERE, text, f"{mend}, if we should hear of all alerts")


def _duration(given: Any) -> timedelta | None:
    try:
        return parse_duration(given)
    except ValueError:
        return None


def _several(given: Any) -> list[dict[str, Any]]:
    return [one for one in given if isinstance(one, dict)] if isinstance(given, list) else []
