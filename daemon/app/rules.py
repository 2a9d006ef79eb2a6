"""The rule folder that the settings name, and who judges its queries: each by its server's kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from daemon.app.watches import WATCHES
from daemon.config.rules_folder import Ruleset, read_ruleset
from daemon.config.settings import Settings
from daemon.core.rules.promql_dialect.judging import judge_query
from daemon.core.rules.promql_dialect.servers import PromqlServer
from daemon.core.rules.query_templates import Judge, JudgeFor


def ruleset_for(settings: Settings, actions: Mapping[str, Any]) -> Ruleset:
    """The rule folder that the settings name, read and checked."""
    return read_ruleset(
        [settings.rules_dir], actions, WATCHES, settings.names, judges_for(settings)
    )


def judges_for(settings: Settings) -> JudgeFor:
    """Who judges the rules' queries where no server is asked: this program, by the flavour that
    the settings give of each server."""

    def judge_for(server: str | None) -> Judge:
        chosen = settings.prometheus.every.get(server or "")
        flavour = None if chosen is None else chosen.given_flavour
        given = partial(judge_query, server=PromqlServer(flavour)) if flavour is not None else None
        return given or judge_query

    return judge_for
