"""Schemathesis against the real application over a socket: what the document says is what is.

Its own command line runs beside the server, with people's, the webhook's and a pager's
credentials, good and bad data, every check, and always the same cases.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.adapters.store import open_store
from daemon.web.api.table import operations
from daemon.web.auth import refusals
from tests.contract.rig import SECRETS, Rig, rigged
from tests.contract.test_oncall_changes import OncallRig
from tests.stories.stage import alert, body

EXAMPLES = 4
FINE = '["2xx", "3xx", "401", "403", "404", "409", "412", "429"]'
"""What may be answered to good data. 412 is the whole purpose of `If-Match`."""
REFUSED = FINE.replace('"401"', '"400", "401"')
CONFIG = """
[auth.openapi.person]
bearer = "ada-token"
[auth.openapi.webhook]
bearer = "hook-token"
[auth.openapi.hook]
api_key = "hooks-secret"

[checks.positive_data_acceptance]
expected-statuses = {fine}

[[operations]]
include-path-regex = "/incidents/"
exclude-path-regex = "/close$"
parameters = {{"path.id" = "{incident}"}}

# A closed incident takes no deeds, so another one is closed.
[[operations]]
include-name = "POST /api/v1/incidents/{{id}}/close"
parameters = {{"path.id" = "{other}"}}

# Whether there is such a thing, the catalogue, the roster and the clock know, and no schema does:
# an action and its parameters, a team or a person (or that a name is taken), another incident, a
# time too far; and which of two fields must be there, or that one of them must.
{exceptions}
"""
EXCEPTIONS = (
    "POST /api/v1/incidents/{id}/steps",
    "POST /api/v1/incidents/{id}/roles/{role}",
    "POST /api/v1/incidents/{id}/findings",
    "POST /api/v1/incidents/{id}/vendors/{vendor}/tickets",
    "PUT /api/v1/freeze",
    "GET /api/v1/oncall",
    "POST /api/v1/incidents",
    "POST /api/v1/incidents/{id}/merge",
    "POST /api/v1/incidents/{id}/relate",
    "POST /api/v1/incidents/{id}/reassign",
    "POST /api/v1/incidents/{id}/split",
    "POST /api/v1/maintenance",
    "POST /api/v1/changes",
    "POST /api/v1/sentiment",
)


def configured(rig: Rig, other: str, folder: Path) -> Path:
    """The configuration for that rig."""
    exceptions = "\n".join(
        f'[[operations]]\ninclude-name = "{name}"\n'
        f"checks.positive_data_acceptance.expected-statuses = {REFUSED}\n"
        for name in EXCEPTIONS
    )
    file = folder / "schemathesis.toml"
    file.write_text(CONFIG.format(incident=rig.id, other=other, fine=FINE, exceptions=exceptions))
    return file


@pytest.mark.timeout(300)
async def test_schemathesis_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "FREE", 1_000_000)  # it guesses, and expects 401 each time
    async with open_store(tmp_path / "s.db") as store, rigged(make=OncallRig) as rig:
        await rig.begun(store)
        rig.hooks = replace(
            SECRETS, grafana_oncall_secret="hooks-secret", opsgenie_secret="hooks-secret"
        )
        await rig.does("ack")
        other = await rig.delivers(body(alert(service="search")))
        ran = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "schemathesis"),
            f"--config-file={configured(rig, other, tmp_path)}",
            "run",
            str(rig.client.make_url("/api/v1/openapi.json")),
            "--checks=all",
            "--mode=all",
            "--generation-deterministic",
            f"--max-examples={EXAMPLES}",
            "--no-color",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await ran.communicate()
        assert ran.returncode == 0, said.decode()
        # All of the table; the document itself was read before.
        assert f"Tested: {len(operations(rig.context()))}\n" in said.decode()
