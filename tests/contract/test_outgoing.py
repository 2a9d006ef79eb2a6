"""No client of ours connects to where it must not: by a name, by a name that changes, by a
redirect; and each names its mend."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from daemon.adapters.alertmanager import Alertmanager
from daemon.adapters.calendar_feeds import Feeds
from daemon.adapters.channels.webhook import WebhookChannel
from daemon.adapters.heartbeat import Heartbeat
from daemon.adapters.http_access import HttpAccess
from daemon.adapters.mail import PostOffice
from daemon.adapters.oidc import OpenIdProvider
from daemon.adapters.outgoing.pinned_requests import PinnedAdapter
from daemon.adapters.outgoing.sessions import outgoing_session
from daemon.adapters.pagers.apprise import ApprisePager
from daemon.adapters.pagers.grafana_oncall import GrafanaOncallPager
from daemon.adapters.pagers.opsgenie import OpsgeniePager
from daemon.adapters.pagers.pagerduty import PagerDutyPager
from daemon.adapters.pagers.slack import SlackPager
from daemon.adapters.pagers.webhook import WebhookPager
from daemon.adapters.prometheus import Prometheus
from daemon.adapters.rooms.webhook import WebhookRooms
from daemon.adapters.slack import Whisperer, slack_client
from daemon.adapters.trackers.github import GitHubTracker
from daemon.adapters.trackers.gitlab import GitLabTracker
from daemon.adapters.trackers.jira import JiraTracker
from daemon.adapters.trackers.webhook import WebhookTracker
from daemon.app.outgoing import refuse_literally
from daemon.config.settings import Settings
from daemon.core.ports.trackers import IssueDraft
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import (
    NOTHING_ALLOWED,
    AddressRefused,
    OutgoingPolicy,
    allowed_destinations,
)
from daemon.core.values.yaml_document import Mistakes, YamlDocument
from recovery_actions.git.client import GitClient
from recovery_actions.http_exchange import NotSent, exchange
from recovery_actions.kubernetes.client import ClusterClient
from recovery_actions.kubernetes.names import Resource
from recovery_actions.workshop import Cluster, GitHosting, Workshop
from tests.contract.calls import AT, message, page

SECONDS = 60
DRAFT = IssueDraft("m-1", "Test it", "Test it", "1124-0200", 1, "ada", None, "http://s/i")
SAFE, INNER = "127.0.0.2", "127.0.0.1"
"""Two doors of this machine: what is allowed for a test, and what nobody may reach."""


class Door:
    """A port that is open at both addresses; who came to each, and what is answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.came: list[str] = []
        self.answer = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
        self._visits: set[asyncio.Task[None]] = set()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = asyncio.current_task()
        assert visit is not None
        self._visits.add(visit)
        self.came.append(writer.get_extra_info("sockname")[0])
        with suppress(TimeoutError, OSError):  # a mail server speaks first
            await asyncio.wait_for(reader.read(4096), 0.2)
        writer.write(self.answer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Door]:
        for _ in range(50):  # until a port is free at both
            door = cls(0)
            first = await asyncio.start_server(door._take, SAFE, 0)
            door.port = first.sockets[0].getsockname()[1]
            try:
                second = await asyncio.start_server(door._take, INNER, door.port)
            except OSError:
                first.close()
            else:
                break
        async with first, second:
            yield door
        await asyncio.gather(*door._visits)  # none is left open when the loop ends


class Names:
    """The resolver: a name has the addresses that are due, the last of them for good."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self._real = socket.getaddrinfo

    def __call__(self, host: Any, port: Any, *given: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self.answers:
            return self._real(host, port, *given, **more)
        self.asked.append(name)
        due = self.answers[name]
        found = due.pop(0) if len(due) > 1 else due[0]
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, int(port or 0)))
            for address in found
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    return found


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door.open() as found:
        yield found


Client = Callable[[aiohttp.ClientSession, OutgoingPolicy, str, int, Path], Awaitable[Any]]


async def _prometheus(_: Any, policy: OutgoingPolicy, host: str, port: int, folder: Path) -> Any:
    access = HttpAccess(f"http://{host}:{port}", outgoing=policy)
    with closing(Prometheus(access, SECONDS, 1)) as prometheus:
        return await prometheus.instant("up", AT)


async def _spans(_: Any, policy: OutgoingPolicy, host: str, port: int, folder: Path) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", PinnedAdapter(policy))
        try:
            await asyncio.to_thread(session.post, f"http://{host}:{port}", timeout=SECONDS)
        except requests.RequestException as error:
            raise Temporary(str(error)) from None


async def _mail(_: Any, policy: OutgoingPolicy, host: str, port: int, folder: Path) -> Any:
    office = PostOffice(
        host,
        port,
        "s@t.test",
        None,
        None,
        starttls=False,
        tls=False,
        timeout=SECONDS,
        outgoing=policy,
    )
    return await office.send(["ada@t.test"], "s", "t", "")


async def _secure_mail(_: Any, policy: OutgoingPolicy, host: str, port: int, folder: Path) -> Any:
    office = PostOffice(
        host,
        port,
        "s@t.test",
        None,
        None,
        starttls=False,
        tls=True,
        timeout=SECONDS,
        outgoing=policy,
    )
    return await office.send(["ada@t.test"], "s", "t", "")


async def _http_call(_: Any, policy: OutgoingPolicy, host: str, port: int, folder: Path) -> Any:
    workshop = Workshop(folder, outgoing=policy)
    try:
        url, limit = f"http://{host}:{port}/", timedelta(seconds=SECONDS)
        return await exchange(workshop.session(), "GET", url, {}, None, limit)
    except NotSent as error:
        raise Permanent(str(error)) from None
    finally:
        await workshop.close()


async def _git(_: Any, policy: OutgoingPolicy, host: str, port: int, folder: Path) -> Any:
    hosting = GitHosting("github", f"http://{host}:{port}", "env:T")
    workshop = Workshop(folder, git=hosting, outgoing=policy, secret=lambda _: "t")
    try:
        return await GitClient(workshop, "GitHub", "Authorization", "Bearer {}").get("/user")
    finally:
        await workshop.close()


async def _kubernetes(_: Any, policy: OutgoingPolicy, host: str, port: int, folder: Path) -> Any:
    path = folder / "kubeconfig"
    path.write_text(
        f"{{apiVersion: v1, kind: Config, current-context: c, users: [{{name: u, user: {{}}}}], "
        f"clusters: [{{name: k, cluster: {{server: 'http://{host}:{port}'}}}}], "
        "contexts: [{name: c, context: {cluster: k, user: u}}]}"
    )
    workshop = Workshop(folder, cluster=Cluster(path), outgoing=policy)
    try:
        return await workshop.shared(ClusterClient).get(
            Resource("", "pods", "shop", "a", cluster="")
        )
    finally:
        await workshop.close()


CLIENTS: dict[str, Client] = {
    "pagerduty": lambda s, _, h, p, __: PagerDutyPager(s, "key", f"http://{h}:{p}", SECONDS).page(
        page()
    ),
    "opsgenie": lambda s, _, h, p, __: OpsgeniePager(s, "key", f"http://{h}:{p}", SECONDS).page(
        page()
    ),
    "grafana oncall": lambda s, _, h, p, __: GrafanaOncallPager(s, f"http://{h}:{p}", SECONDS).page(
        page()
    ),
    "webhook": lambda s, _, h, p, __: WebhookPager(s, f"http://{h}:{p}", None, SECONDS).page(
        page()
    ),
    "slack": lambda s, _, h, p, __: SlackPager(
        slack_client(s, "token", f"http://{h}:{p}", SECONDS), "U1"
    ).page(page()),
    "channel": lambda s, _, h, p, __: WebhookChannel(s, f"http://{h}:{p}", None, SECONDS).post(
        message()
    ),
    "feed": lambda s, _, h, p, f: Feeds(s, f, SECONDS).fetch(f"http://{h}:{p}/a.ics"),
    "heartbeat": lambda s, _, h, p, __: Heartbeat(s, f"http://{h}:{p}", SECONDS).send(),
    "room": lambda s, _, h, p, __: WebhookRooms(s, f"http://{h}:{p}", None, SECONDS).archive(
        "k", "i"
    ),
    "github issues": lambda s, _, h, p, __: GitHubTracker(
        s, f"http://{h}:{p}", "a/b", "t", SECONDS
    ).push(DRAFT),
    "gitlab issues": lambda s, _, h, p, __: GitLabTracker(
        s, f"http://{h}:{p}", "a/b", "t", SECONDS
    ).push(DRAFT),
    "jira": lambda s, _, h, p, __: JiraTracker(
        s, f"http://{h}:{p}", "OPS", "Task", None, "t", SECONDS
    ).push(DRAFT),
    "issue webhook": lambda s, _, h, p, __: WebhookTracker(
        s, f"http://{h}:{p}", None, SECONDS
    ).push(DRAFT),
    "oidc": lambda s, _, h, p, __: OpenIdProvider(
        s, f"http://{h}:{p}", "id", None, ("openid",)
    ).address("http://r", "s", "n", "v"),
    "alertmanager": lambda s, o, h, p, __: Alertmanager(
        s, HttpAccess(f"http://{h}:{p}", "alertmanager", outgoing=o), SECONDS
    ).present(),
    "apprise": lambda _, o, h, p, __: ApprisePager(f"json://{h}:{p}", o).page(page()),
    "prometheus": _prometheus,
    "spans": _spans,
    "mail": _mail,
    "mail by tls": _secure_mail,
    "http_call": _http_call,
    "git": _git,
    "kubernetes": _kubernetes,
}


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_name_that_leads_inward_is_refused_by_every_client(
    client: str, names: Names, door: Door, tmp_path: Path
) -> None:
    names.answers["inward.test"] = [["203.0.113.7", INNER]]
    async with outgoing_session(NOTHING_ALLOWED) as session:
        with pytest.raises((Permanent, Temporary)) as caught:
            await CLIENTS[client](session, NOTHING_ALLOWED, "inward.test", door.port, tmp_path)
    said = str(caught.value)
    if client != "apprise":  # which goes to the first address that takes it
        assert f"leads to {INNER}:{door.port}, which is loopback" in said
        assert "`outgoing.allow`" in said
    assert door.came == []


@pytest.mark.parametrize("client", CLIENTS)
async def test_what_was_checked_is_what_is_connected_to(
    client: str, names: Names, door: Door, tmp_path: Path
) -> None:
    """The name has a good address when it is looked at, and another ever after."""
    names.answers["rebinding.test"] = [[SAFE], [INNER]]
    policy = OutgoingPolicy(allowed_destinations([SAFE]))
    async with outgoing_session(policy) as session:
        for _ in range(2):
            with suppress(Permanent, Temporary):  # the double speaks none of their languages
                await CLIENTS[client](session, policy, "rebinding.test", door.port, tmp_path)
    assert set(door.came) == {SAFE}


LITERAL_LOOPBACK = {"alertmanager", "prometheus", "spans", "mail", "mail by tls", "kubernetes"}
"""Whose policy `trusting` opens what the operator wrote literally; spans: see app.tracing."""


@pytest.mark.parametrize("spelled", ["169.254.169.254", "2852039166", "0xa9.0xfe.0xa9.0xfe"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_the_metadata_service_is_refused_however_it_is_spelled(
    client: str, spelled: str, tmp_path: Path
) -> None:
    async with outgoing_session(NOTHING_ALLOWED) as session:
        with pytest.raises((Permanent, Temporary), match="which is link-local"):
            await CLIENTS[client](session, NOTHING_ALLOWED, spelled, 80, tmp_path)


@pytest.mark.parametrize("client", sorted(CLIENTS.keys() - LITERAL_LOOPBACK))
async def test_this_machine_is_refused_to_what_others_name(
    client: str, door: Door, tmp_path: Path
) -> None:
    async with outgoing_session(NOTHING_ALLOWED) as session:
        for spelled in (INNER, "localhost", "[::ffff:127.0.0.1]", "2130706433"):
            with pytest.raises((Permanent, Temporary), match=r"which is loopback|apprise does not"):
                await CLIENTS[client](session, NOTHING_ALLOWED, spelled, door.port, tmp_path)
    assert door.came == []


@pytest.mark.parametrize("client", sorted(LITERAL_LOOPBACK - {"spans"}))
async def test_the_operators_own_servers_on_this_machine_are_reached(
    client: str, door: Door, tmp_path: Path
) -> None:
    async with outgoing_session(NOTHING_ALLOWED) as session:
        with pytest.raises((Permanent, Temporary)) as caught:
            await CLIENTS[client](session, NOTHING_ALLOWED, INNER, door.port, tmp_path)
    assert "outgoing.allow" not in str(caught.value)
    assert set(door.came) == {INNER}


@pytest.mark.parametrize("client", CLIENTS)
async def test_no_redirect_leads_inward(
    client: str, names: Names, door: Door, tmp_path: Path
) -> None:
    names.answers["outside.test"] = [[SAFE]]
    inward = f"http://{INNER}:{door.port}/"
    door.answer = f"HTTP/1.1 307 x\r\nLocation: {inward}\r\nContent-Length: 0\r\n\r\n".encode()
    policy = OutgoingPolicy(allowed_destinations(["outside.test", SAFE]))
    async with outgoing_session(policy) as session:
        with suppress(Permanent, Temporary):
            await CLIENTS[client](session, policy, "outside.test", door.port, tmp_path)
    assert set(door.came) == {SAFE}


async def test_the_answer_to_a_tap_goes_nowhere_else(names: Names, door: Door) -> None:
    names.answers["hooks.slack.com"] = [[INNER]]
    async with outgoing_session(NOTHING_ALLOWED) as session:
        slack = Whisperer(session, "https://slack.com/api/")
        await slack.whisper(f"https://hooks.slack.com:{door.port}/x", "done")
        await slack.whisper(f"http://{INNER}:{door.port}/x", "done")
    assert names.asked == ["hooks.slack.com"]
    assert door.came == []


OWN_CONNECTIONS = {
    "daemon/adapters/outgoing",  # here they are made
    "daemon/adapters/mail.py",  # by `connected`
    "daemon/adapters/tracing.py",  # with the adapter of the policy mounted
    "daemon/adapters/prometheus_session.py",  # likewise
    "daemon/adapters/prometheus_sandbox.py",  # a Prometheus that we have started ourselves
    "daemon/cli/client.py",  # a person's command line to their own daemon
}
_CONNECTS = re.compile(
    r"aiohttp\.ClientSession\(|\brequests\.(Session|request)\(|urlopen\(|smtplib\.SMTP|"
    r"create_connection\(|open_connection\(|\(requests\.Session\)"
)


def test_nothing_connects_by_another_way() -> None:
    """Whoever adds a client makes its session by `outgoing_session`, and adds it to CLIENTS."""
    tree = Path(__file__).resolve().parents[2]
    found = {
        str(path.relative_to(tree))
        for room in ("daemon", "recovery_actions")
        for path in (tree / room).rglob("*.py")
        if _CONNECTS.search(path.read_text(encoding="utf-8"))
    }
    assert {path for path in found if not path.startswith(tuple(OWN_CONNECTIONS))} == set()


@pytest.mark.parametrize(
    ("place", "settings"),
    [
        ("heartbeat.url", {"heartbeat": {"url": "env:HERE"}}),
        ("rooms.webhook.url", {"rooms": {"webhook": {"url": "env:HERE"}}}),
        ("argocd.url", {"argocd": {"url": "http://127.1:80"}}),
        ("git.url", {"git": {"url": "http://localhost"}}),
        ("slack.url", {"slack": {"url": "http://[::1]/", "token": "env:HERE"}}),
        ("http.allow (0x7f.1:80)", {"http": {"allow": ["0x7f.1:80"]}}),
        (
            "follow_ups.tracker.jira.url",
            {
                "follow_ups": {
                    "tracker": {
                        "jira": {"url": "http://169.254.1.1", "project": "A", "token": "env:HERE"}
                    }
                }
            },
        ),
        (
            "auth.oidc.issuer",
            {"auth": {"oidc": {"issuer": "http://127.0.0.1:8080", "client_id": "s"}}},
        ),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_setting_that_leads_inward_is_refused_at_the_start(
    place: str, settings: dict[str, Any]
) -> None:
    def read(_: str) -> str:
        return "http://127.0.0.1:9/secret"

    chosen = Settings.model_validate(settings)
    with pytest.raises(AddressRefused, match=re.escape(f"{place}: it leads to ")) as caught:
        refuse_literally(chosen, read)
    assert "secret" not in str(caught.value)
    allow = {"allow": ["127.0.0.0/8", "::1", "169.254.1.1", "localhost"]}
    refuse_literally(Settings.model_validate({**settings, "outgoing": allow}), read)


def test_the_settings_as_they_are_at_first_lead_nowhere_inward() -> None:
    refuse_literally(Settings(), lambda _: "")


@pytest.mark.parametrize(
    "settings",
    [
        {"argocd": {"url": "https://me:hunter2@argo.test"}},
        {"slack": {"url": "https://hunter2@slack.test"}},
        {"tracing": {"endpoint": "http://me:hunter2@127.0.0.1:4318"}},
    ],
    ids=str,
)
def test_no_credentials_stand_in_an_address_that_is_told(settings: dict[str, Any]) -> None:
    document = YamlDocument("stopgap.yaml", settings)
    with pytest.raises(Mistakes, match="credentials do not stand") as caught:
        document.read(Settings)
    assert "hunter2" not in str(caught.value)


async def test_what_is_closed_hangs_up_while_an_answer_of_it_lives() -> None:
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        assert await reader.read() == b""
        writer.close()
        ended.set()

    async with await asyncio.start_server(answer, INNER, 0) as server:
        with requests.Session() as session:
            session.mount("http://", PinnedAdapter(OutgoingPolicy(allowed_destinations([INNER]))))
            url = "http://{}:{}".format(*server.sockets[0].getsockname())
            alive = await asyncio.to_thread(session.get, url, timeout=SECONDS)
        await asyncio.wait_for(ended.wait(), SECONDS)
    assert alive.text == "ok"
