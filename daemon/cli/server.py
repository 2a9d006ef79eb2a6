"""`run`: the daemon itself."""

from __future__ import annotations

import asyncio
import gc
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

import click

from daemon.cli.client import CommandFailure, config_option, settings_from
from daemon.config.settings import Settings, environment
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.yaml_document import Mistakes


@click.command("run")
@config_option
@click.option(
    "--new-store",
    is_flag=True,
    help="Begin with an empty store where an earlier one is missing: every incident is forgotten.",
)
def run_command(config: Path | None, new_store: bool) -> None:
    """Run the daemon. SIGTERM stops it in order; SIGHUP reads the rules again.

    Example: stopgap run --config /etc/stopgap/stopgap.yaml
    """
    # As while the commands are loaded: what is imported stays. `serve` goes on with it.
    gc.disable()
    settings = settings_from(config)
    if settings.log.format == "json":
        # To draw tracebacks for people, which a log of JSON has no use for: 5 MB.
        _load_without("structlog", "rich")
    # To guess how a text is encoded; what Prometheus answers says so, or is UTF-8: 4 MB.
    warnings.filterwarnings("ignore", "Unable to find acceptable character detection")
    _load_without("requests", "chardet", "charset_normalizer")
    from daemon import app

    try:
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            runner.run(app.serve(settings, environment(), new_store=new_store))
    except Mistakes as error:
        raise CommandFailure(
            f"the rules are wrong, so nothing was started; `stopgap check` shows this\n{error}"
        ) from None
    except (Permanent, Temporary) as error:
        raise CommandFailure(_with_settings(error, settings)) from None
    except BaseExceptionGroup as group:
        expected = group.subgroup((Permanent, Temporary))
        if expected is None:
            raise
        raise CommandFailure(_with_settings(_first(expected), settings)) from None


def _with_settings(error: BaseException, settings: Settings) -> str:
    """What ended the start; of a secret that is not there also which setting names it, and every
    other one, so that they are not found out one at a time."""
    from daemon.config.secrets import missing_secrets

    missing = list(missing_secrets(settings, environment(), settings))
    if not any(one.why == str(error) for one in missing):
        return str(error)
    file = settings.origin or "the settings"
    lines = (f"{file}: {one.place}: {one.why} ({one.mend})" for one in missing)
    return "\n".join(("secrets are missing, so nothing was started", *lines))


def _load_without(library: str, *others: str) -> None:
    """Load a library without others that it takes where they are, and does without where they are
    not. To Python, None among the modules means that there is none.
    """
    modules = cast("dict[str, object]", sys.modules)
    if not modules.keys().isdisjoint((library, *others)):
        return
    modules.update(dict.fromkeys(others))
    try:
        import_module(library)
    finally:
        for other in others:
            del modules[other]


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes uvloop's event loop, if it is installed (`stopgap[speed]`): a delivery then costs
    up to a quarter less of the processor. None stands for asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
