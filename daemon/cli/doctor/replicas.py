"""Whether the daemons that share a database are well together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from daemon import app
from daemon.adapters.store import PostgresAddress, open_store
from daemon.adapters.store.replicas import survey_replicas
from daemon.cli.doctor.context import Installation
from daemon.config.audit_keys import keyring_for
from daemon.core.reporting.replica_words import replica_troubles
from daemon.onboarding.findings import Finding, good, warning


async def check_replicas(installation: Installation) -> AsyncIterator[Finding]:
    """Who is alive; whether one died with incidents, clocks differ, or rules do. A file of SQLite
    has one daemon, and nothing to look at."""
    place = app.store_at(installation.settings, installation.environ)
    if not isinstance(place, PostgresAddress):
        return
    keyring = keyring_for(installation.settings, installation.environ)
    async with open_store(place, readonly=True, keyring=keyring) as store:
        survey = await store.journal.database.read(partial(survey_replicas, app.now))
    troubles = replica_troubles(survey)
    for trouble in troubles:
        text, _, mend = trouble.partition(": ")
        yield warning("replicas", text, mend)
    if not troubles:
        yield good("replicas", f"{survey.alive} alive, {survey.incidents} open incidents")
