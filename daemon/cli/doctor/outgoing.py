"""A check of where the settings and the roster lead: what is refused is told here, not at 3 a.m."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from daemon import app
from daemon.adapters.outgoing.resolving import resolved
from daemon.cli.doctor.context import Installation, parted
from daemon.core.values.outgoing import SCHEMES, AddressRefused, OutgoingPolicy
from daemon.onboarding.findings import Finding, good, wrong


async def check_outgoing(installation: Installation) -> AsyncIterator[Finding]:
    """Whether each address that is named may be connected to, as its name resolves just now."""
    settings = installation.settings
    policy = settings.outgoing.policy
    named = app.outgoing_places(settings, installation.roster, installation.secret)
    places = {place: (policy.at(place), url) for place, url in named}
    if endpoint := settings.tracing.endpoint:  # of which nobody hears that nothing goes there
        places["tracing.endpoint"] = policy.at("tracing.endpoint").trusting(endpoint), endpoint
    refusals = await asyncio.gather(
        *(asyncio.to_thread(_refusal, *looked_at) for looked_at in places.values())
    )
    refused = [error for error in refusals if error is not None]
    for error in refused:
        text, mend = parted(error)
        yield wrong("outgoing", text, mend or "correct the address")
    if places and not refused:
        yield good("outgoing", f"{len(places)} addresses lead to where they may")


def _refusal(policy: OutgoingPolicy, url: str) -> AddressRefused | None:
    """Why that address is refused; a name that cannot be resolved is not."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or SCHEMES.get(parts.scheme, 0)
        resolved(policy, host, port)
    except AddressRefused as error:
        return error
    except (OSError, ValueError):
        return None
    return None
