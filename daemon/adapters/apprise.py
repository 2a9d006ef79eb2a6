"""Sends through apprise: more than a hundred services by one kind of URL, which is a secret.

A page must not wait behind another. apprise sleeps up to 5.5 s between two requests of one service
(its `request_rate_per_sec`), so that is off for pages, and each kind of service has threads of its
own: one that hangs holds up no other. Nor may apprise put a send into its own few threads, which
all services share: it does so for a `service_timeout`, and for several services at once.

Redirects are never followed: a POST that is led to a login page becomes an empty GET there, which
apprise takes for a delivery.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from apprise import Apprise, AppriseAsset, NotifyFormat, NotifyType

from daemon.adapters.daemon_threads import DaemonThreads
from daemon.adapters.outgoing.audited import connections_checked
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.outgoing import OutgoingPolicy

_MOST_AT_ONCE = 32
"""Sends under way of one kind of service."""
_STATUS = re.compile(r"\berror=(\d{3})\b")

logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages can hold the URL

_threads: dict[str, DaemonThreads] = {}


class AppriseSender:
    """One apprise URL. `paced`: apprise's own pauses between requests are kept. `outgoing`: where
    its services may be; what a name is resolved to is seen when it connects."""

    def __init__(self, url: str, outgoing: OutgoingPolicy, *, paced: bool) -> None:
        asset = AppriseAsset(http_redirects=False, service_timeout=0)
        self._servers = _servers(url, asset)
        self._outgoing = outgoing.at("an apprise URL")
        for server in self._servers:
            if isinstance(server.host, str):  # of a service that has one of its own
                self._outgoing.check_host(server.host, int(server.port or 0))
            server.redirects = False  # whatever `redirect=` in the URL says
            server.logger = _log_to_nobody()
            if not paced:
                server.request_rate_per_sec = 0
        kinds = sorted({str(server.service_name) for server in self._servers})
        name = f"apprise {'updates' if paced else 'pages'} {', '.join(kinds)}"
        self._own = _threads.setdefault(name, DaemonThreads(name, _MOST_AT_ONCE))

    @property
    def room(self) -> int:
        """Characters of a body that the service takes at once."""
        return min(int(server.body_maxlen) for server in self._servers)

    async def send(self, title: str, body: str, *, failure: bool) -> str:
        """Deliver; `failure` says that something is broken.

        Permanent: the service redirects, or is where nothing may lead. Temporary: any other
        failure, for apprise tells no more of it than, at best, the status.
        """
        content = {
            "body": body,
            "title": title,
            "notify_type": NotifyType.FAILURE if failure else NotifyType.INFO,
            "body_format": NotifyFormat.TEXT,  # so that labels make no markup where it is HTML
        }
        calls = (partial(_notify, server, self._outgoing, content) for server in self._servers)
        sent = await asyncio.gather(*(self._own.run(call) for call in calls))
        if all(sent):
            return "accepted by apprise"
        statuses = _statuses(sent)
        if any(300 <= status < 400 for status in statuses):
            raise Permanent(
                f"apprise delivered {'not to all' if any(sent) else 'nothing'}: the service "
                f"redirects ({_listed(statuses)}), to a login page or to https; put the address "
                "that it leads to into this apprise URL"
            )
        answered = f": the service answered {_listed(statuses)}" if statuses else ""
        whom = " to all of its services" if any(sent) else ""
        raise Temporary(f"apprise could not deliver it{whom}{answered}")


def _log_to_nobody() -> logging.Logger:
    """A log that apprise alone reads, into its result."""
    log = logging.Logger("apprise to its result", logging.WARNING)
    log.addHandler(logging.NullHandler())
    return log


def _servers(url: str, asset: AppriseAsset) -> list[Any]:
    """The services of an apprise URL; several have commas between them. Raises Permanent."""
    known = Apprise(asset=asset)
    if not known.add(url) or not len(known):
        raise Permanent("apprise does not know this kind of URL; see its list of services")
    return list(known)


def _notify(server: Any, outgoing: OutgoingPolicy, content: Mapping[str, Any]) -> Any:
    """Its result, which counts as False without being it. Raises AddressRefused."""
    alone = Apprise(asset=server.asset)
    alone.add(server)
    with connections_checked(outgoing):
        return alone.notify(**content)


def _statuses(sent: Iterable[Any]) -> list[int]:
    """The statuses of HTTP that the services answered, as apprise has logged them."""
    logged = (entry.message for result in sent for one in result for entry in one.logs())
    return sorted({int(status) for text in logged for status in _STATUS.findall(text)})


def _listed(statuses: Iterable[int]) -> str:
    return ", ".join(map(str, statuses))
