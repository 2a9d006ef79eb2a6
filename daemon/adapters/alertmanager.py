"""Alertmanager's own API: what it lists, and to complete a notification that it cut short."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar

import aiohttp
import yaml
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from daemon.adapters.http_access import HttpAccess
from daemon.adapters.tls import distrust, distrust_mend
from daemon.core.alertmanager import Alert, quoted_receiver, usable
from daemon.core.ports.alerts import Silencing, StandingSilence
from daemon.core.reconciliation.listing import Listing, PeerListing, Silence, timed_receivers
from daemon.core.rules.label_names import label_text
from daemon.core.values.label_length import bounded, shortened_in
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import printable

_MOMENT: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")
CREATED_BY = "stopgap"
"""Who our silences are by, for people in Alertmanager."""


@dataclass(frozen=True)
class Placed:
    """Where Alertmanager has put an alert: active, suppressed or unprocessed, and who gets it."""

    state: str
    receivers: tuple[str, ...]


class Alertmanager:
    """One peer. Implements `AlertsApi` and `Silencer` of `daemon.core.ports.alerts`, and
    `core.ports.metrics.Peer`.

    `access` is how it is reached, or a plain address. `timeout` in seconds. Raises Permanent if a
    file of the access cannot be used.
    """

    def __init__(
        self, session: aiohttp.ClientSession, access: HttpAccess | str, timeout: float
    ) -> None:
        self._session = session
        self._access = HttpAccess(access, "alertmanager") if isinstance(access, str) else access
        self._url = self._shown = self._access.address
        self._options = self._access.options()
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    @property
    def name(self) -> str:
        """Its address for people, without credentials."""
        return self._shown

    async def alerts(self, group_labels: Mapping[str, str], receiver: str) -> Sequence[Alert]:
        """The alerts of a group that fire now and go to that receiver. Raises Temporary or
        Permanent. `receiver` as a webhook names it: quoted as a regular expression already.
        """
        shortened = shortened_in(group_labels)
        filters = [
            ("filter", f"{label_text(name)}={_quoted(value)}")
            for name, value in group_labels.items()
            if name not in shortened
        ]
        states = [("active", "true"), ("silenced", "false"), ("inhibited", "false")]
        found, _ = await self._get("alerts", [*filters, *states, ("receiver", receiver)])
        with self._its_format():
            alerts = [_alert(item) for item in found]
        return [one for one in alerts if group_labels.items() <= one.labels.items()]

    async def look(self, receivers: Collection[str]) -> PeerListing:
        """What it lists in the groups of these receivers, and how long it has been running."""
        status, told_at = await self._get("status")
        with self._its_format():
            age = told_at - _MOMENT.validate_python(status["uptime"])
            config = str(status["config"]["original"])
        if not receivers:
            return PeerListing(self.name, age)
        names = "|".join(quoted_receiver(name) for name in sorted(receivers))
        groups, _ = await self._get("alerts/groups", [("receiver", names)])
        with self._its_format():
            listed = tuple(_listings(groups))
            shows_muted = all("mutedBy" in a["status"] for group in groups for a in group["alerts"])
        return PeerListing(self.name, age, listed, frozenset() if shows_muted else _timed(config))

    async def present(self) -> Collection[str]:
        """The identities of all alerts that it lists, whatever their receivers."""
        found, _ = await self._get("alerts")
        with self._its_format():
            return {_alert(item).identity for item in found}

    async def silence(self, identity: str) -> Silence:
        """A silence as it stands."""
        silence, _ = await self._get(f"silence/{identity}")
        with self._its_format():
            until = _MOMENT.validate_python(silence["endsAt"])
            return Silence(until, printable(silence["createdBy"]), printable(silence["comment"]))

    async def standing(self, mark: str) -> Sequence[StandingSilence]:
        """Our silences that have not ended and whose comment begins with this mark."""
        found, _ = await self._get("silences")
        with self._its_format():
            return [
                StandingSilence(str(one["id"]), _MOMENT.validate_python(one["startsAt"]))
                for one in found
                if one["createdBy"] == CREATED_BY
                and one["comment"].startswith(mark)
                and one["status"]["state"] != "expired"
            ]

    async def put(self, silencing: Silencing, instead: StandingSilence | None) -> tuple[str, str]:
        """Set a silence, or extend the one that stands; its id, and its address for people.

        Alertmanager extends in place what has the same matchers and start; else it ends the one
        that is named and sets another.
        """
        body: dict[str, Any] = {
            "matchers": [
                {
                    "name": matcher.name,
                    "value": matcher.value,
                    "isRegex": matcher.op in {"=~", "!~"},
                    "isEqual": matcher.op in {"=", "=~"},
                }
                for matcher in silencing.matchers
            ],
            "startsAt": (instead.began if instead else datetime.now(UTC)).isoformat(),
            "endsAt": silencing.until.isoformat(),
            "createdBy": CREATED_BY,
            "comment": silencing.comment,
        }
        if instead is not None:
            body["id"] = instead.silence
        answer, _ = await self._ask("POST", "silences", json=body)
        with self._its_format():
            silence = str(answer["silenceID"])
        return silence, f"{self._shown}/#/silences/{silence}"

    async def end(self, silence: str) -> None:
        """Let a silence end now; one that is gone is no error."""
        await self._ask("DELETE", f"silence/{silence}", gone=404)

    async def post(self, alert: Alert) -> None:
        """Let it take an alert, as a Prometheus would; `ends_at` says when it is over. Raises
        Temporary or Permanent."""
        sent = {
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": alert.starts_at.isoformat(),
            "endsAt": alert.ends_at.isoformat(),
        }
        await self._ask("POST", "alerts", json=[sent])

    async def where(self, name: str, value: str) -> Placed | None:
        """What became of the alert with that label; None if it lists none. Raises Temporary or
        Permanent."""
        filtered = f"{label_text(name)}={_quoted(value)}"
        found, _ = await self._get("alerts", [("filter", filtered)])
        with self._its_format():
            for one in found:
                receivers = tuple(printable(each["name"]) for each in one["receivers"])
                return Placed(printable(one["status"]["state"]), receivers)
        return None

    async def version(self) -> str:
        """Which version it runs. Raises Temporary or Permanent."""
        status, _ = await self._get("status")
        with self._its_format():
            return str(status["versionInfo"]["version"])

    async def _get(self, path: str, params: Sequence[tuple[str, str]] = ()) -> tuple[Any, datetime]:
        """The JSON at a path, and when it was answered by the server's own clock.

        Without a clock of its own (a proxy took it away) it answers long ago: it is then never
        taken for one that has been running for a while.
        """
        return await self._ask("GET", path, params=params)

    async def _ask(
        self, method: str, path: str, *, gone: int = 0, **sent: Any
    ) -> tuple[Any, datetime]:
        """What it answers, if anything, and when. `gone`: a status that is none of an error."""
        try:
            async with self._session.request(
                method,
                f"{self._url}/api/v2/{path}",
                timeout=self._timeout,
                **self._options,
                **sent,
            ) as answer:
                if answer.status not in {200, gone}:
                    raise self._failed(answer)
                told_at = _date(answer.headers.get("Date", ""))
                if method == "DELETE" or (path == "alerts" and method == "POST"):
                    return None, told_at  # which it answers with nothing
                with self._its_format():
                    return await answer.json(), told_at
        except aiohttp.ContentTypeError:
            text = f"the answer of {self._shown} is not JSON; is that an Alertmanager?"
            raise Permanent(text) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            why, tls = type(error).__name__, distrust(error)
            text = f"Alertmanager at {self._shown} cannot be reached ({why})"
            if tls:
                mend = distrust_mend(tls, "see `alertmanager.tls`")
                text = f"Alertmanager at {self._shown}: TLS fails ({tls}); {mend}"
            raise Temporary(text) from None

    def _failed(self, answer: aiohttp.ClientResponse) -> Temporary | Permanent:
        status = answer.status
        if status >= 500:
            return Temporary(f"Alertmanager answered {status}")
        if status in {401, 403, 407}:
            return self._access.unknown(status, "")
        if 300 <= status < 400:
            return self._access.redirected(status, answer.headers.get("Location", ""))
        return Permanent(f"Alertmanager answered {status}")

    @contextmanager
    def _its_format(self) -> Iterator[None]:
        try:
            yield
        except (ValidationError, ValueError, KeyError, TypeError, AttributeError):
            text = f"the answer of {self._shown} is not Alertmanager's format"
            raise Permanent(text) from None


class Alertmanagers:
    """Implements `daemon.intake.truncated.AlertSource` over the peers of a cluster: the first
    that answers is asked, for each has the alerts."""

    def __init__(self, peers: Sequence[Alertmanager]) -> None:
        self._peers = peers

    async def alerts(self, group_labels: Mapping[str, str], receiver: str) -> Sequence[Alert]:
        """The alerts of a group that fire now and go to that receiver. Raises what the last of
        the peers raised."""
        *others, last = self._peers
        for peer in others:
            try:
                return await peer.alerts(group_labels, receiver)
            except (Temporary, Permanent):
                continue
        return await last.alerts(group_labels, receiver)


class ClusterSilencer:
    """Implements `daemon.core.ports.alerts.Silencer` over the peers of a cluster: they tell each
    other of silences, so the first that answers is asked."""

    def __init__(self, peers: Sequence[Alertmanager]) -> None:
        self._peers = peers

    async def standing(self, mark: str) -> Sequence[StandingSilence]:
        """Our silences with this mark that have not ended."""
        return await self._first(lambda peer: peer.standing(mark))

    async def put(self, silencing: Silencing, instead: StandingSilence | None) -> tuple[str, str]:
        """Set a silence, or extend the one that stands; its id, and its address for people."""
        return await self._first(lambda peer: peer.put(silencing, instead))

    async def end(self, silence: str) -> None:
        """Let a silence end now."""
        await self._first(lambda peer: peer.end(silence))

    async def _first(self, asking: Callable[[Alertmanager], Awaitable[_T]]) -> _T:
        *others, last = self._peers
        for peer in others:
            try:
                return await asking(peer)
            except Temporary:
                continue
        return await asking(last)


def _quoted(value: str) -> str:
    """A string of Alertmanager's matchers: it knows these three escapes, and not those of JSON."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _alert(item: Mapping[str, Any]) -> Alert:
    # In this API a firing alert has the time at which it would end if it were not sent again.
    return usable(
        Alert(
            status="firing",
            labels=item["labels"],
            annotations=item["annotations"],
            starts_at=item["startsAt"],
            generator_url=item.get("generatorURL", ""),
            fingerprint=item["fingerprint"],
        )
    )


def _listings(groups: Sequence[Mapping[str, Any]]) -> Iterator[Listing]:
    for group in groups:
        for item in group["alerts"]:
            status = item["status"]
            yield Listing(
                _alert(item),
                group["receiver"]["name"],
                bounded(dict(group["labels"])),
                status["state"],
                tuple(status["silencedBy"]),
                tuple(status["inhibitedBy"]),
                tuple(status.get("mutedBy") or ()),
                _MOMENT.validate_python(item["updatedAt"]),
            )


@lru_cache(maxsize=8)
def _timed(config: str) -> frozenset[str]:
    """The receivers of routes with time intervals; read once for each configuration."""
    try:
        return timed_receivers(yaml.load(config, yaml.CSafeLoader))
    except yaml.YAMLError:
        return frozenset()


def _date(header: str) -> datetime:
    try:
        return parsedate_to_datetime(header)
    except ValueError:
        return _LONG_AGO
