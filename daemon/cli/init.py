"""`stopgap init`: a folder to start from, and rules proposed from a Prometheus."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import re
import secrets
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote, urlsplit

import click

from daemon import app
from daemon.adapters.outgoing.sessions import outgoing_session
from daemon.cli.access_options import access_options
from daemon.cli.client import DEFAULT_CONFIG, CommandFailure, settings_from
from daemon.cli.http import AccessMends, fetch
from daemon.cli.terminal import escape, terminal
from daemon.config.access import AccessSettings
from daemon.config.drill_files import DRILLS
from daemon.config.rules_folder import APPROVALS, CASES, FREEZES, ROSTER, Ruleset, rule_files
from daemon.config.settings import Settings, environment, secret
from daemon.core.rules.rule import RuleBook
from daemon.core.values.formats import printable
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import NOTHING_ALLOWED, AddressRefused, OutgoingPolicy
from daemon.onboarding.prometheus_rules import Alerting, read_rules
from daemon.onboarding.recording_rules import RecordingRules
from daemon.onboarding.rule_drafts import RuleDraft, draft_rules

TEMPLATES = files("daemon.cli") / "templates"
TEAM = "oncall"
"""The team of the roster that is written."""
TIMEOUT_SECONDS = 20.0
_TESTS = "stopgap test                    # plays the cases of the rules"
_MENDS = AccessMends(
    "give --ca with who signs its certificate, --client-certificate if it wants ours",
    "does it want a token? Give --bearer-token or --username, or the --header of a tenant",
)
DEFAULT_PROMETHEUS = "http://127.0.0.1:9090"
_KINDS: Mapping[str, str] = {
    "counts": "measured as two counts",
    "threshold": "measured by the levels of the alert",
    "states": "measured by how many series are in the state that the alert names",
    "expression": "only counted: how many series the alert's expression is true of",
    "alerts": "only counted by ALERTS",
}


@dataclass
class _Folder:
    """What is written where; nothing is written over."""

    home: Path
    written: list[Path] = field(default_factory=list)
    retained: list[Path] = field(default_factory=list)

    def write(self, path: Path, text: str, mode: int = 0o644) -> bool:
        """Write a new file. False if there is one already. Raises CommandFailure."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            self.retained.append(path)
            return False
        except OSError as error:
            raise CommandFailure(f"cannot write {path}: {error.strerror}") from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        self.written.append(path)
        return True


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False), default=Path())
@click.option(
    "--from-prometheus",
    "prometheus",
    metavar="URL",
    help="Propose rules for the alerts that this Prometheus has.",
)
@access_options
def init_command(directory: Path, prometheus: str | None, access: AccessSettings) -> None:
    """Write what is needed to start: stopgap.yaml, a roster with you in it, a first rule, a
    case and a drill of it.

    Nothing is ever written over. With --from-prometheus the first rules are proposed from the
    alerts that Prometheus has, in the mode `observe`; alerts that have a rule are left out, so it
    can be asked again.

    \b
    Example: stopgap init stopgap
    Example: stopgap init --from-prometheus http://127.0.0.1:9090
    Example: stopgap init --from-prometheus https://metrics.example.org/prometheus \\
               --username stopgap --password file:password --header X-Scope-OrgID=shop --ca ca.pem
    """
    alerts: list[Alerting] = []
    recordings, labels = RecordingRules(()), None
    had = (directory / DEFAULT_CONFIG).exists()
    known = settings_from(directory / DEFAULT_CONFIG) if had else None
    server = None if known is None or prometheus is None else _server(known, prometheus)
    if prometheus is not None:
        if known is not None and server is not None and access == AccessSettings():
            access, base = known.prometheus.every[server], known.base
        else:
            base = Path()
        policy = None if known is None else known.outgoing.policy
        alerts, recordings, labels = _read_prometheus(prometheus, access, base, policy)
    elif access != AccessSettings():
        raise click.UsageError("these options say how --from-prometheus is reached; give its URL")
    folder = _Folder(directory)
    person = _myself()
    if folder.write(directory / DEFAULT_CONFIG, _settings_text(prometheus, access)):
        folder.write(directory / ".gitignore", _template("gitignore"))
    settings = settings_from(directory / DEFAULT_CONFIG)
    roster = _template("roster.yaml").replace("PERSON", person)
    mine = folder.write(_rules(settings) / ROSTER, roster)
    if mine:
        token = directory / "secrets" / f"{person}.token"
        folder.write(token, secrets.token_urlsafe(32) + "\n", 0o600)
    team = TEAM if mine else _first_team(settings)
    proposals: list[RuleDraft] = []
    if prometheus is not None:
        proposals = _propose(folder, settings, alerts, recordings, team, labels, server or "")
    elif not _has_rules(settings):
        text = _template("first.yaml").replace("TEAM", team)
        folder.write(_rules(settings) / "first.yaml", text)
        drill = _template("first-drill.yaml").replace("PERSON", person)
        folder.write(_rules(settings) / DRILLS / "first.yaml", drill)
        if mine:  # whom it expects to be called is known then
            case = _template("first-case.yaml").replace("PERSON", person)
            folder.write(_rules(settings) / CASES / "first.yaml", case)
    _print_summary(folder, proposals, len(alerts) if prometheus is not None else None)
    if prometheus is not None:
        elsewhere = prometheus if had and server is None else ""
        _say_where_measured(settings, alerts, proposals, elsewhere, server or "")
    _check(settings)
    _next(directory, person if mine else None, settings)


def _server(settings: Settings, url: str) -> str | None:
    """Which server of the settings is there: its name, empty for the one that rules need not name;
    None if it is none of them."""
    every = settings.prometheus.every.items()
    return next((name for name, one in every if one.url.rstrip("/") == url.rstrip("/")), None)


def _read_prometheus(
    url: str, access: AccessSettings, base: Path, policy: OutgoingPolicy | None
) -> tuple[list[Alerting], RecordingRules, set[str] | None]:
    """The rules that a Prometheus has, and the names of its labels; files of `access` start at
    `base`. `policy`: where the settings let it be; None if there are none yet.

    Raises CommandFailure.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(f"{url!r} is no address; write it like {DEFAULT_PROMETHEUS}")
    if parts.username or parts.password:
        raise click.BadParameter(
            "credentials in an address end up in files; give --username and --password file:PATH"
        )
    try:
        return asyncio.run(_read(url, access, base, policy or NOTHING_ALLOWED))
    except AddressRefused as error:
        first = ", which `stopgap init` alone writes" if policy is None else ""
        raise CommandFailure(f"{error}{first}") from None
    except (Temporary, Permanent) as error:
        raise CommandFailure(str(error)) from None


async def _read(
    url: str, access: AccessSettings, base: Path, policy: OutgoingPolicy
) -> tuple[list[Alerting], RecordingRules, set[str] | None]:
    known = app.access_for(
        "prometheus",
        url,
        access,
        lambda ref: secret(ref, environment(), base),
        base,
        policy,
    )
    async with outgoing_session(policy) as session:
        rules = await fetch(session, known, "/api/v1/rules", TIMEOUT_SECONDS, _MENDS)
        alerts, recordings = read_rules(rules.data)
        try:
            found = await fetch(session, known, "/api/v1/labels", TIMEOUT_SECONDS)
            labels = {str(name) for name in found.data["data"]}
        except (Temporary, Permanent, KeyError, TypeError):
            return alerts, recordings, None  # then none is held against the alerts
        return alerts, recordings, labels


def _propose(
    folder: _Folder,
    settings: Settings,
    alerts: list[Alerting],
    recordings: RecordingRules,
    team: str,
    labels: set[str] | None,
    server: str,
) -> list[RuleDraft]:
    known = _ruleset(settings)
    book = RuleBook(rule for rule, _ in known.rules)
    unknown = [a for a in alerts if not book.find({"alertname": a.name, **a.labels})]
    proposals = draft_rules(
        unknown,
        recordings,
        team=team,
        labels=labels or None,
        taken=tuple(book.rules),
        server=server,
    )
    return [p for p in proposals if folder.write(_rules(settings) / p.path, p.text)]


def _rules(settings: Settings) -> Path:
    """The folder of the rules, as short as it can be said from here."""
    near = Path(os.path.relpath(settings.rules_dir))
    return near if len(str(near)) < len(str(settings.rules_dir)) else settings.rules_dir


def _ruleset(settings: Settings) -> Ruleset:
    return app.ruleset_for(settings, app.actions_for(settings))


def _first_team(settings: Settings) -> str:
    roster = _ruleset(settings).roster
    return next(iter(sorted(roster.teams)), TEAM) if roster is not None else TEAM


def _has_rules(settings: Settings) -> bool:
    found = rule_files(settings.rules_dir)
    return any(file.name not in {ROSTER, APPROVALS, FREEZES} for file in found)


def _settings_text(prometheus: str | None, access: AccessSettings) -> str:
    text = _template("stopgap.yaml")
    if prometheus is None:
        return text
    line = f"  url: {DEFAULT_PROMETHEUS}\n"
    url = quote(prometheus.rstrip("/"), safe=":/?=&%[]~._-")
    text = text.replace(line, f"  url: {url}\n", 1)
    given = access.model_dump(mode="json", exclude_defaults=True)
    for name, value in given.pop("tls", {}).items():
        text = text.replace(f"    {name}: null ", f"    {name}: {_yaml(value)} ", 1)
    for name, value in given.items():
        empty = "{}" if name == "headers" else "null"
        text = text.replace(f"  {name}: {empty} ", f"  {name}: {_yaml(value)} ", 1)
    return text


def _yaml(value: object) -> str:
    """JSON is YAML, too."""
    return json.dumps(value, ensure_ascii=False)


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _myself() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""
    return re.sub(r"[^a-z0-9_-]+", "", user.casefold()).strip("-_") or "me"


# ── what is said ─────────────────────────────────────────────────────────────────────────────


def _print_summary(folder: _Folder, proposals: list[RuleDraft], alerts: int | None) -> None:
    console = terminal()
    proposed = {path for path in folder.written if path.suffix == ".yaml"}
    for path in folder.retained:
        console.print(f"kept     {escape(str(path))} (it exists)", soft_wrap=True)
    for path in folder.written:
        console.print(f"written  {escape(str(path))}", soft_wrap=True)
    if alerts is None:
        return
    made = sum(proposal.alerts for proposal in proposals)
    others = alerts - made
    left = f"; {others} {'has' if others == 1 else 'have'} a rule already" if others else ""
    rules = f"{len(proposals)} rule{'' if len(proposals) == 1 else 's'}"
    if not alerts:
        console.print(
            "this server has no alerting rules, so none could be proposed; VictoriaMetrics tells "
            "those of vmalert if it is started with -vmalert.proxyURL",
            soft_wrap=True,
        )
    else:
        console.print(
            f"{rules} proposed, in the mode `observe`, for {made} of {alerts} alerting rules{left}",
            soft_wrap=True,
        )
    for (kind, why), count in Counter((p.kind, p.why) for p in proposals).most_common():
        reason = f": {escape(why)}" if why else ""
        console.print(f"  {count} {_KINDS[kind]}{reason}", soft_wrap=True)
    if proposed:
        console.print("Go over them: each says where it comes from and what to review.")


def _say_where_measured(
    settings: Settings,
    alerts: Sequence[Alerting],
    proposals: Sequence[RuleDraft],
    elsewhere: str,
    server: str,
) -> None:
    """What would be measured by another Prometheus than its alerts come from. `elsewhere`: where
    they come from, if that is none of the settings."""
    if elsewhere and proposals:
        click.echo(
            f"Note: {printable(elsewhere)} is no Prometheus of stopgap.yaml, so these rules would "
            f"be measured by {settings.prometheus.url}: set `prometheus.url` to it; or, if both "
            "are meant, name it in `prometheus.servers`, and `prometheus: NAME` in each rule"
        )
    made = {proposal.rule for proposal in proposals}
    book = RuleBook(rule for rule, _ in _ruleset(settings).rules if rule.rule not in made)
    found = [rule for a in alerts for rule in book.find({"alertname": a.name, **a.labels})]
    others = {one.rule for one in found if elsewhere or (one.prometheus or "") != server}
    if others:
        click.echo(
            f"Note: alerts of it have a rule that another Prometheus measures: "
            f"{', '.join(sorted(others))}. Where both have the alert, give each a rule of its own, "
            'with what tells them apart in `match`, such as region="eu"'
        )


def _check(settings: Settings) -> None:
    """What was written is sound; what was there may not be. Raises CommandFailure."""
    ruleset = _ruleset(settings)
    if ruleset.mistakes:
        for mistake in ruleset.mistakes:
            click.echo(str(mistake), err=True)
        raise CommandFailure("mend these, then `stopgap check`")


def _next(directory: Path, person: str | None, settings: Settings) -> None:
    here = directory.resolve() == Path.cwd()
    token = f"secrets/{person}.token" if person else "FILE"
    url = "" if settings.port == 9393 else f" --url http://{settings.listen}"
    lines = [
        *([] if here else [f"cd {shlex.quote(str(directory))}"]),
        "stopgap check",
        *([_TESTS] if (settings.rules_dir / CASES).is_dir() else ()),
        "stopgap doctor                  # what is still missing on the way",
        "stopgap run",
        f"stopgap incidents --token-file {token}{url}     # in another terminal",
    ]
    click.echo("\nNext:")
    for line in lines:
        click.echo(f"  {line}")
    click.echo("\nThen let Alertmanager know: a webhook receiver with the URL")
    click.echo(f"  {settings.external_url.rstrip('/')}/api/v1/alerts")
