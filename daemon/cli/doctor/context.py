"""What the checks of `stopgap doctor` are given, and how they are run: side by side, each with a
deadline, none stopping the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from daemon.config.rules_folder import Ruleset
from daemon.config.settings import Settings, secret
from daemon.core.people.roster import Roster
from daemon.core.ports.actions import Action
from daemon.core.rules.rule import Rule
from daemon.core.values.outcome import Permanent, Temporary
from daemon.onboarding.findings import Finding, wrong
from recovery_actions.workshop import Workshop

_DEADLINE_SECONDS = 30.0
"""How long one check may take."""


@dataclass(frozen=True)
class Installation:
    """A Stopgap as its folder describes it; nothing of it runs. `config`: the settings file, if
    one was named. `test_alert`: whether one is sent through Alertmanager; None: only if nobody
    else gets it."""

    settings: Settings
    environ: Mapping[str, str]
    ruleset: Ruleset
    workshop: Workshop
    actions: Mapping[str, Action]
    session: aiohttp.ClientSession
    config: Path | None = None
    test_alert: bool | None = None

    @property
    def rules(self) -> list[Rule]:
        """The rules that could be read."""
        return [rule for rule, _ in self.ruleset.rules]

    @property
    def roster(self) -> Roster | None:
        """The roster, if it could be read."""
        return self.ruleset.roster

    def secret(self, reference: str) -> str:
        """The secret itself. Raises Permanent naming the reference."""
        return secret(reference, self.environ, self.settings.base)


Check = Callable[[Installation], AsyncIterator[Finding]]


async def examine(installation: Installation, checks: Mapping[str, Check]) -> list[Finding]:
    """All findings, in the order of the checks."""
    found = await asyncio.gather(
        *(_one(installation, name, check) for name, check in checks.items())
    )
    return [finding for part in found for finding in part]


async def _one(installation: Installation, name: str, check: Check) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with asyncio.timeout(_DEADLINE_SECONDS):
            async for finding in check(installation):
                found.append(finding)  # noqa: PERF401 - what was found before a failure counts
    except TimeoutError:
        text = f"this took longer than {_DEADLINE_SECONDS:.0f} s and was given up"
        found.append(wrong(name, text, "something on the way does not answer"))
    except (Temporary, Permanent) as error:
        found.append(wrong(name, *parted(error)))
    except Exception as error:
        text = f"the check itself failed ({type(error).__name__}): a defect in Stopgap"
        found.append(wrong(name, text, "please report it"))
    return found


def parted(error: Exception) -> tuple[str, str]:
    """An error's sentence as what is wrong and how to mend it."""
    text, _, mend = str(error).partition("; ")
    return text, mend
