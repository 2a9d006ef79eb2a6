"""Opens the door: the web application behind bounded connections, over TLS where it is set up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from daemon.app.clock import now
from daemon.app.handles import connections_for
from daemon.app.shutdown import DOOR, Shutdown
from daemon.config.settings import Settings
from daemon.core.values.outcome import Permanent
from daemon.web.alert_door import install_alert_door
from daemon.web.application import web_application
from daemon.web.context import WebContext
from daemon.web.serving.connections import Connections
from daemon.web.serving.listener import Listener

if TYPE_CHECKING:
    from daemon.web.serving.tls import Certificate

_log = structlog.get_logger()

SHUTDOWN_SECONDS = 5
"""How long what is being answered may take when the door closes."""


def certificate_for(settings: Settings) -> Certificate | None:
    """What we prove ourselves with; None without TLS. Raises Permanent naming what is broken."""
    files = settings.tls.files(settings.base)
    if files is None:
        return None
    from daemon.web.serving.tls import Certificate  # it reads X.509, which takes its time to load

    return Certificate(files, now)


@asynccontextmanager
async def serving(
    settings: Settings, context: WebContext, certificate: Certificate | None, shutdown: Shutdown
) -> AsyncIterator[None]:
    """The door is open while inside. Raises Permanent if the address is not to be had."""
    chosen, proxy = settings.connections, settings.auth.proxy
    connections = Connections(
        connections_for(chosen.max),
        chosen.per_address,
        chosen.header.total_seconds(),
        chosen.body.total_seconds(),
        (lambda _: False) if proxy is None else proxy.trusts,
        context.observer,
    )
    application = web_application(context, settings.inbox.max_body_bytes, connections)
    runner = web.AppRunner(
        application,
        access_log=None,
        # With an open stream it takes twice that.
        shutdown_timeout=min(SHUTDOWN_SECONDS, shutdown.left(DOOR) / 2),
        keepalive_timeout=chosen.idle.total_seconds(),
    )
    await runner.setup()
    door = runner.server
    assert door is not None  # noqa: S101 - it is set up
    install_alert_door(door, context, settings.inbox.max_body_bytes, connections)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(lambda: shutdown.step("door", runner.cleanup(), DOOR))
        tls = None if certificate is None else certificate.context
        listener = Listener(connections, door, tls)
        try:
            open_at = listener.listening(settings.host, settings.port)
            addresses = await stack.enter_async_context(open_at)
        except OSError as error:
            raise Permanent(
                f"cannot listen on {settings.listen}: {error.strerror}; "
                "is another daemon running? `listen` in stopgap.yaml takes another address"
            ) from None
        _log.info("listening", address=addresses[0], tls=certificate is not None)
        yield
