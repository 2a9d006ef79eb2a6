"""The page on which an incident is declared by hand."""

from __future__ import annotations

import secrets
from typing import Any, get_args
from urllib.parse import quote

from aiohttp import web

from daemon.core.measurement.problem import Severity
from daemon.core.response.command import NotPossible
from daemon.core.response.declaring import DECLARED_TITLE_LENGTH, Declaration
from daemon.core.response.organizing import severity_named
from daemon.intake.declaring import known_groups
from daemon.web.auth.identity import Identity
from daemon.web.site.layout import FormFields, Frame, to
from daemon.web.site.organizing_forms import read_labels

_LABEL = "label-"
"""What the fields of a rule's labels begin with."""


class DeclarePage:
    """The routes."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._context = frame.context

    def routes(self) -> list[web.RouteDef]:
        """The table of routes."""
        return [web.get("/declare", self.show), web.post("/declare", self.declare)]

    async def show(self, request: web.Request) -> web.Response:
        """The form; `?rule=` names the rule that is to measure it."""
        identity = await self._frame.visitor(request, "responder")
        return await self._page(request, identity, 200, request.query.get("rule", ""))

    async def declare(self, request: web.Request) -> web.Response:
        """Open it, and go there; or to the one that is open already."""
        identity = await self._frame.visitor(request, "responder")
        form = await self._frame.form(request, identity)
        try:
            declared = await self._context.declare(_read(form, identity.person))
        except NotPossible as error:
            text = f"Not possible: {error}."
            return await self._page(request, identity, 409, form["rule"], trouble=text, kept=form)
        there = f"/incidents/{quote(declared.incident.id)}"
        return to(there if declared.opened else f"{there}?already")

    async def _page(
        self, request: web.Request, identity: Identity, status: int, chosen: str, **feedback: object
    ) -> web.Response:
        rules = self._context.rules().rules
        rule = rules.get(chosen)
        groups: list[dict[str, str]] = []
        if rule is not None:
            watched = self._context.label_values(rule)
            groups = await known_groups(self._context.repository, rule, watched)
        context: dict[str, Any] = {
            "heading": "Declare an incident",
            "here": "/declare",
            "rules": sorted(rules),
            "rule": rule,
            "offered": {
                name: sorted({group[name] for group in groups})
                for name in (rule.group_by if rule is not None else ())
            },
            "severities": [name for name in get_args(Severity) if name],
            "longest": DECLARED_TITLE_LENGTH,
            # Sent again by a second click or a reload, it is the same incident.
            "request_token": secrets.token_urlsafe(12),
            **feedback,
        }
        return await self._frame.page(request, identity, "declare.html", context, status)


def _read(form: FormFields, person: str) -> Declaration:
    """What the form says. Raises NotPossible."""
    named = {
        name.removeprefix(_LABEL): value for name, value in form.items() if name.startswith(_LABEL)
    }
    labels = {**read_labels(form["labels"]), **named}
    return Declaration(
        title=form["title"],
        person=person,
        via="page",
        rule=form["rule"],
        labels=labels,
        team=form["team"],
        severity=severity_named(form["severity"]),
        respond=bool(form["respond"]),
        request=form["request"],
    )
