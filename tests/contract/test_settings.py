"""stopgap.yaml and the environment."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from datetime import time, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import BaseModel

from daemon.app.follow_ups import tracker_for
from daemon.config.audit_keys import keyring_for
from daemon.config.follow_ups import FollowUpSettings
from daemon.config.sections import PrometheusSettings
from daemon.config.settings import Settings, load_settings, secret
from daemon.core.people.roster import Timing
from daemon.core.rules.rule import Confirm
from daemon.core.values.outcome import Permanent
from daemon.core.values.units import Frozen
from daemon.core.values.yaml_document import Mistakes

ROOT = Path(__file__).parents[2]


def written(folder: Path, text: str) -> Path:
    path = folder / "stopgap.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("said", "given"), [("auto", None), ("prometheus", "prometheus"), ("thanos", "thanos")]
)
def test_the_flavour_is_found_out_or_given(tmp_path: Path, said: str, given: str | None) -> None:
    path = written(tmp_path, f"prometheus: {{flavour: {said}}}")
    assert load_settings(path, {}).prometheus.given_flavour == given
    assert load_settings(None, {}).prometheus.given_flavour is None


def models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def test_what_is_left_out_is_as_if_a_validator_had_seen_it() -> None:
    defaults = [
        field.default
        for model in models(Frozen)
        for field in model.model_fields.values()
        if isinstance(field.default, BaseModel) and not field.default.model_fields_set
    ]
    assert {type(default) for default in defaults} >= {PrometheusSettings, Confirm, Timing}
    assert [type(default)() for default in defaults] == defaults


def test_the_documented_defaults_are_the_defaults() -> None:
    documented = load_settings(ROOT / "deploy/stopgap.yaml", {})
    assert documented.model_dump() == Settings().model_dump()


def test_every_setting_is_documented() -> None:
    text = (ROOT / "deploy/stopgap.yaml").read_text()
    for name, field in Settings.model_fields.items():
        if name in {"base", "origin"}:  # where it was read, and no settings
            continue
        assert f"\n{name}:" in text
        inner = getattr(field.annotation, "model_fields", {})
        missing = [key for key in inner if f"\n  {key}:" not in text]
        assert not missing


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "prometheus: {url: 'http://a:9090', timeout: 3s}")
    environ = {
        "STOPGAP_PROMETHEUS__URL": "http://b:9090",
        "STOPGAP_LISTEN": "127.0.0.1:1",
        "STOPGAP_ADA_TOKEN": "not a setting",
    }
    settings = load_settings(path, environ)
    assert settings.prometheus.url == "http://b:9090"
    assert settings.prometheus.timeout.total_seconds() == 3
    assert settings.port == 1
    assert settings.rules_dir == tmp_path / "rules"


@pytest.mark.parametrize(
    ("variable", "value", "path", "becomes"),
    [
        ("STOPGAP_COMMANDS__ALLOW", '[["/bin/true"]]', "commands.allow", (("/bin/true",),)),
        ("STOPGAP_HTTP__ALLOW", '["a.example", "b"]', "http.allow", ("a.example", "b")),
        ("STOPGAP_ACTIONS", '{"a": {"b": 1}}', "actions", {"a": {"b": 1, "c": 2}}),
        ("STOPGAP_RECOVERY__BUDGETS__RULE", "7", "recovery.budgets.rule", 7),
        ("STOPGAP_RECOVERY__BUDGETS", '{"team": 8}', "recovery.budgets.rule", 1),
        ("STOPGAP_AUTH__OIDC__ACCESS__ADMIN", '["x"]', "auth.oidc.access.admin", ("x",)),
        ("STOPGAP_AUTH__OIDC__ACCESS", '{"claim": "roles"}', "auth.oidc.access.claim", "roles"),
        ("STOPGAP_SHUTDOWN", "30s", "shutdown", timedelta(seconds=30)),
        ("STOPGAP_AUDIT__KEY", "env:KEY", "audit.key", "env:KEY"),
    ],
)
def test_every_kind_of_setting_can_come_from_the_environment_over_the_file(
    tmp_path: Path, variable: str, value: str, path: str, becomes: object
) -> None:
    text = """
commands: {allow: [[ls]]}
actions: {a: {c: 2}}
recovery: {budgets: {rule: 1}}
auth: {oidc: {issuer: 'https://x', client_id: y}}
"""
    settings = load_settings(written(tmp_path, text), {variable: value})
    assert attrgetter(path)(settings) == becomes


def test_a_setting_beats_the_section_that_it_is_in(tmp_path: Path) -> None:
    given = {"STOPGAP_SMTP__PORT": "27", "STOPGAP_SMTP": '{"host": "127.0.0.1", "port": 26}'}
    smtp = load_settings(written(tmp_path, "smtp: {host: x, sender: a@b}"), given).smtp
    assert (smtp.host, smtp.port, smtp.sender) == ("127.0.0.1", 27, "a@b")
    assert load_settings(None, given).smtp.port == 27


class Environment(dict[str, str]):
    """Remembers whose values were asked for."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__(given)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: object = None) -> Any:
        return self[name] if name in self else default  # noqa: SIM401 (it is `get`)

    def values(self) -> Any:
        raise AssertionError("tokens of people are read")

    items = values


def test_variables_that_are_no_settings_are_not_read(tmp_path: Path) -> None:
    tokens = (
        *("STOPGAP_ADA_TOKEN", "STOPGAP_TOKEN", "STOPGAP_SLACK_TOKEN", "STOPGAP_SLACK__BOT_TOKEN"),
        *("STOPGAP_BASE", "STOPGAP_ACTIONS__A__TOKEN", "STOPGAP_LISTEN__X", "stopgap_listen"),
    )
    environ = Environment({**dict.fromkeys(tokens, "hunter2"), "STOPGAP_LISTEN": "127.0.0.1:1"})
    settings = load_settings(written(tmp_path, ""), environ)
    assert environ.read == {"STOPGAP_LISTEN"}
    assert settings.port == 1
    assert "hunter2" not in repr(settings)


SECRET = "hunter2"  # in all values below


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("COMMANDS__ALLOW", "/bin/hunter2", 'a list; write it as JSON: ["a", "b"]'),
        ("COMMANDS__ALLOW", '[["a"], "hunter2"]', "commands.allow.1: input should be a list"),
        ("COMMANDS__ALLOW", "[" * 100_000 + "hunter2", "write it as JSON"),
        ("SMTP", "hunter2", 'username); write it as JSON: {"key": "value"}'),
        ("SMTP", '{"password": "hunter2"}', "smtp.password: say where the secret is, env:NAME"),
        ("SMTP__PORT", "hunter2", "smtp.port: input should be a valid integer"),
        ("SLACK__TOKEN", "hunter2", "slack.token: say where the secret is"),
        ("SLACK", '{"tokn": "hunter2"}', "slack.tokn: unknown key; did you mean `token`?"),
        (
            "PROMETHEUS__URL",
            "ftp://u:hunter2@x",
            "prometheus.url: this is no address; write it like",
        ),
        ("ACTIONS", '{"a": "hunter2"}', "actions.a: input should be `key: value` lines"),
        ("AUTH__PROXY__FROM", "hunter2", "auth.proxy.from: input should be a list"),
        ("AUDIT__FORMER_KEYS", '["hunter2"]', "audit.former_keys.0: say where the secret is"),
        ("AUDIT__FORMER_KEYS", '{"a": "hunter2"}', 'a list; write it as JSON: ["a", "b"]'),
        ("AUTH__OIDC", '{"issuer": "hunter2"}', "auth.oidc.client_id: is missing; add it"),
        ("AUTH__PROXY__FROM", '["hunter2"]', "auth.proxy.from.0: this is no network; write it"),
        ("SHUTDOWN", "hunter2", "shutdown: this is not a duration; write it like 30s"),
        ("RECOVERY__OUTAGE", "hunter2", "recovery.outage: this is not a share; write it like 5%"),
        ("HTTP__ALLOW", '{"hunter2": 1}', 'a list; write it as JSON: ["a", "b"]'),
    ],
    ids=range(18),  # the values are long
)
def test_a_mistake_in_a_variable_names_it_and_the_mend_but_not_what_it_holds(
    tmp_path: Path, variable: str, value: str, told: str
) -> None:
    path = written(tmp_path, "smtp: {sender: 5}\nlog: {level: loud}\n")
    with pytest.raises(Mistakes) as caught:
        load_settings(path, {f"STOPGAP_{variable}": value})
    whole = "".join(traceback.format_exception(caught.value))
    assert (SECRET in value, SECRET in whole) == (True, False)
    lines = str(caught.value).splitlines()
    assert f"{path}:2: log.level: this is no level; write one" in "\n".join(lines)
    named = [line for line in lines if line.startswith(f"STOPGAP_{variable}: ")]
    assert told in "\n".join(named)


@pytest.mark.parametrize("written_there", ["[[x]]", "[]"])
def test_a_variable_of_the_wrong_shape_is_never_passed_over(
    tmp_path: Path, written_there: str
) -> None:
    path = written(tmp_path, f"commands: {{allow: {written_there}}}")
    for value in ("{}", '{"a": 1}'):
        with pytest.raises(Mistakes, match=r"^STOPGAP_COMMANDS__ALLOW: commands.allow: input"):
            load_settings(path, {"STOPGAP_COMMANDS__ALLOW": value})


def test_a_port_that_no_machine_has_is_told_with_its_place(tmp_path: Path) -> None:
    path = written(tmp_path, "listen: 127.0.0.1:65536")
    with pytest.raises(Mistakes, match=r":1: listen: ports end at 65535"):
        load_settings(path, {})


def test_what_settings_are_together_names_the_variables_among_them(tmp_path: Path) -> None:
    path = written(tmp_path, "listen: 127.0.0.1:1\nsmtp: {host: mail.example}\n")
    with pytest.raises(Mistakes) as caught:
        load_settings(path, {"STOPGAP_SMTP__PASSWORD": "env:P", "STOPGAP_SHUTDOWN": "1m"})
    assert str(caught.value).startswith(f"{path}:2: smtp: the password would go to mail.example")
    assert str(caught.value).endswith("(the environment sets STOPGAP_SMTP__PASSWORD)")
    with pytest.raises(Mistakes, match=r"auth.proxy.from: is missing; .*STOPGAP_AUTH__PROXY__HEAD"):
        load_settings(path, {"STOPGAP_AUTH__PROXY__HEADER": "x"})
    with pytest.raises(Mistakes, match=r":1: smtp: input .*; it is 5 \(the .* STOPGAP_SMTP__PORT"):
        load_settings(written(tmp_path, "smtp: 5"), {"STOPGAP_SMTP__PORT": "26"})


def test_all_mistakes_are_told_with_their_lines(tmp_path: Path) -> None:
    text = "prometheus:\n  url: ftp://x\n  timeot: 3s\ninbox:\n  max_pending: 0\n"
    with pytest.raises(Mistakes) as caught:
        load_settings(written(tmp_path, text), {})
    told = [(m.line, m.place) for m in caught.value.mistakes]
    assert told == [(2, "prometheus.url"), (3, "prometheus.timeot"), (5, "inbox.max_pending")]
    assert "did you mean `timeout`?" in str(caught.value)


def test_beyond_loopback_credentials_are_demanded(tmp_path: Path) -> None:
    with pytest.raises(Mistakes, match=r"set `auth.webhook_token`"):
        load_settings(written(tmp_path, "listen: 0.0.0.0:9393"), {})
    text = "listen: 0.0.0.0:9393\nauth: {webhook_token: 'env:TOKEN'}"
    assert not load_settings(written(tmp_path, text), {}).loopback


def test_a_secret_is_named_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    assert secret("file:token", {}, tmp_path) == "s3cret"
    assert secret("env:TOKEN", {"TOKEN": "abc"}, tmp_path) == "abc"
    with pytest.raises(Permanent, match="variable TOKEN is not set"):
        secret("env:TOKEN", {}, tmp_path)
    with pytest.raises(Permanent, match="cannot read the secret in nowhere: No such file"):
        secret("file:nowhere", {}, tmp_path)


def test_a_secret_written_into_the_file_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(Mistakes) as caught:
        load_settings(written(tmp_path, "auth: {webhook_token: hunter2hunter2}"), {})
    assert "hunter2" not in str(caught.value)
    assert "env:NAME" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="No such file"):
        load_settings(tmp_path / "stopgap.yaml", {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "retention: {keep: 5d}",
            "retention.keep: has to be at least 30d; it is 5d",
        ),
        (
            "inbox: {max_age: 1ms}",
            "inbox.max_age: input should be greater than or equal to 1 second; it is 1ms",
        ),
        (
            "recovery: {outage: 150%}",
            "recovery.outage: has to be above 0% and at most 100%; it is 150%",
        ),
        (
            "recovery: {outage: 0%}",
            "recovery.outage: has to be above 0% and at most 100%; it is 0%",
        ),
        (
            "replica: shop-1",
            "replica: input should be `key: value` lines (known here: lease, name); it is 'shop-1'",
        ),
    ],
)
def test_what_is_wrong_is_told_as_people_write_it(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(Mistakes) as caught:
        load_settings(written(tmp_path, text), {})
    assert told in str(caught.value)


def test_a_key_of_the_audit_that_cannot_be_read_is_told_with_its_place(tmp_path: Path) -> None:
    settings = load_settings(written(tmp_path, "audit: {key: 'file:missing'}"), {})
    with pytest.raises(Permanent, match="`audit`: cannot read the secret in missing"):
        keyring_for(settings, {})


def test_a_mail_password_never_goes_out_in_plain_text(tmp_path: Path) -> None:
    text = "smtp: {host: mail.example, username: x, password: 'env:P', security: none}"
    with pytest.raises(Mistakes, match="set `security: starttls`"):
        load_settings(written(tmp_path, text), {})
    assert load_settings(written(tmp_path, text.replace("mail.example", "127.0.0.1")), {}).smtp
    assert load_settings(written(tmp_path, text.replace("none", "tls")), {}).smtp


def test_other_ways_to_say_who_one_is_are_off_until_they_are_set(tmp_path: Path) -> None:
    assert (Settings().auth.proxy, Settings().auth.oidc) == (None, None)
    documented = (ROOT / "deploy/stopgap.yaml").read_text()
    start = documented.index("#  proxy:")
    example = documented[start : documented.index("\n\n", start)].replace("\n#", "\n ")
    auth = load_settings(written(tmp_path, f"auth:\n {example[1:]}"), {}).auth
    assert auth.proxy is not None
    assert auth.proxy.trusts("10.0.3.7")
    assert auth.oidc is not None
    assert (auth.oidc.claim, auth.oidc.access.admin) == ("email", ("oncall-leads",))


def test_a_provider_needs_the_scope_that_makes_it_one(tmp_path: Path) -> None:
    text = "auth: {oidc: {issuer: 'https://x', client_id: y, client_secret: hunter2, scopes: [a]}}"
    with pytest.raises(Mistakes) as caught:
        load_settings(written(tmp_path, text), {})
    assert "auth.oidc.scopes: `openid` is missing" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "peers"),
    [
        ("{}", ()),
        ("{url: 'http://a:9093/'}", ("http://a:9093",)),
        ("{urls: ['http://a:9093', 'http://b:9093']}", ("http://a:9093", "http://b:9093")),
        ("{url: 'http://a', urls: ['http://b', 'http://a/']}", ("http://a", "http://b")),
    ],
)
def test_one_alertmanager_or_all_peers_of_a_cluster(
    tmp_path: Path, given: str, peers: tuple[str, ...]
) -> None:
    file = tmp_path / "stopgap.yaml"
    file.write_text(f"alertmanager: {given}\n")
    assert load_settings(file, {}).alertmanager.peers == peers
    file.write_text("alertmanager: {urls: ['ftp://a']}\n")
    with pytest.raises(Mistakes):
        load_settings(file, {})


# ── follow-ups ───────────────────────────────────────────────────────────────────────────────


def follow_ups(folder: Path, text: str) -> FollowUpSettings:
    """What `follow_ups: {…}` says."""
    return load_settings(written(folder, f"follow_ups: {{{text}}}\n"), {}).follow_ups


def test_reminders_have_an_hour_in_a_zone(tmp_path: Path) -> None:
    found = follow_ups(tmp_path, 'at: "08:30", zone: Europe/Berlin, before: 3d')
    assert (found.at, str(found.zone), found.before.days) == (time(8, 30), "Europe/Berlin", 3)
    assert found.model_dump(mode="json")["at"] == "08:30"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("at: 9", 'at: write it like "09:00", in quotes'),
        ('at: "25:00"', 'at: write it like "09:00", in quotes'),
        ("zone: Berlin", "zone: 'Berlin' is no time zone; write it like Europe/Berlin"),
        ("before: 1h", "before:"),
        ("tracker: {}", "tracker: give exactly one of `github`, `gitlab`, `jira`, `webhook`"),
        (
            "tracker: {github: {repository: a/b, token: env:X}, webhook: {url: env:Y}}",
            "tracker: give exactly one of",
        ),
        ("tracker: {github: {repository: shop, token: env:X}}", "repository:"),
        ("tracker: {github: {repository: a/b, token: ghp_secret}}", "never write it here"),
        ("tracker: {jira: {url: ftp://x, project: OPS, token: env:X}}", "url:"),
    ],
)
def test_a_mistake_of_follow_ups_is_told_with_its_place(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(Mistakes) as caught:
        follow_ups(tmp_path, text)
    assert told in str(caught.value)
    assert "ghp_secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("github: {repository: acme/shop, token: env:T}", "github"),
        ("gitlab: {project: acme/shop, token: env:T}", "gitlab"),
        ("jira: {url: https://a.b, project: OPS, user: a@b.c, token: env:T}", "jira"),
        ("webhook: {url: env:U, secret: env:T}", "webhook"),
    ],
)
async def test_each_tracker_is_built_of_its_settings(tmp_path: Path, text: str, name: str) -> None:
    chosen = follow_ups(tmp_path, f"tracker: {{{text}}}").tracker
    assert chosen is not None
    secrets = {"env:T": "token", "env:U": "https://hook.example"}
    async with aiohttp.ClientSession() as session:
        assert tracker_for(chosen, session, secrets.__getitem__).name == name
