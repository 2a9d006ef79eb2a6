"""What cases and replays are played with, for the commands."""

from __future__ import annotations

from pathlib import Path

from daemon.app.rule_cases import house_for
from daemon.cli.client import CommandFailure
from daemon.config.settings import Settings
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import Mistakes
from daemon.replaying.case_runner import House


def house_of(settings: Settings, folder: Path, *, restricted: bool) -> House:
    """The house of a folder of rules. Raises CommandFailure, with every mistake in them."""
    try:
        return house_for(settings, folder, restricted=restricted)
    except Mistakes as error:
        text = f"the rules in {folder} are wrong; mend these first\n{error}"
        raise CommandFailure(text) from None
    except Permanent as error:
        raise CommandFailure(str(error)) from None
