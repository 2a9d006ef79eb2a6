"""Argo CD: its API as far as we need it, and the watch of what an application has had live.

A rule watches one by `changes: {argocd: {application: checkout}}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any
from urllib.parse import quote

import aiohttp
from pydantic import AfterValidator
from yarl import URL

from daemon.core.changes.suspects import Change
from daemon.core.ports.actions import may_always
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import Frozen
from recovery_actions.argocd_state import Application, application, sentence, short
from recovery_actions.reasons import ActionReason
from recovery_actions.workshop import Workshop

_MOST = 8 << 20
"""Bytes of an answer beyond which it is not read; an application's status can be large."""
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or ".." in text:
        raise ValueError("a name of Kubernetes has small letters, digits, `-` and `.` alone")
    return text


ArgoName = Annotated[str, AfterValidator(_name)]
"""The name of an application, a project or a namespace."""


class Unwilling(Permanent):
    """Argo CD will not, or cannot be asked: an enumerated reason and the sentence."""

    def __init__(self, reason: ActionReason, text: str) -> None:
        super().__init__(text)
        self.reason: ActionReason = reason
        self.text = text


class RequestUncertain(Temporary):
    """The request went out, and nobody knows what became of it."""


class ArgoCDPlace(Frozen):
    """Which application. `project` lets Argo CD tell a missing application from a forbidden one;
    `app_namespace` if it is not in Argo CD's own.
    """

    application: ArgoName
    project: ArgoName | None = None
    app_namespace: ArgoName | None = None

    @property
    def target(self) -> str:
        """The target key; an application in a namespace of its own has that in it."""
        place = f"{self.app_namespace}/" if self.app_namespace else ""
        return f"argocd:{place}{self.application}"


# ── asking it ────────────────────────────────────────────────────────────────────────────────


class Argo:
    """One application of the Argo CD of stopgap.yaml. `must_act` is asked right before each request
    that orders something.

    Raises Temporary (down, slow), Unwilling, or Permanent (it answers nonsense).
    """

    def __init__(
        self,
        workshop: Workshop,
        place: ArgoCDPlace,
        must_act: Callable[[], None] = may_always,
    ) -> None:
        self._workshop = workshop
        self._must_act = must_act
        self._name = place.application
        self._where = {"project": place.project, "appNamespace": place.app_namespace}

    async def get(self, *, refresh: bool = False) -> Application:
        """How it is now; `refresh` has Argo CD compare with the cluster first."""
        query = {key: value for key, value in self._where.items() if value}
        if refresh:
            query["refresh"] = "normal"
        return application(await self._request("GET", "", query, None))

    async def rollback(self, number: int, *, prune: bool, dry: bool) -> Application:
        """Order the rollback to an entry of the history; it is done afterwards, not at once."""
        order = {key: value for key, value in self._where.items() if value}
        body = {**order, "name": self._name, "id": number, "prune": prune, "dryRun": dry}
        return application(await self._request("POST", "/rollback", {}, body))

    async def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Mapping[str, Any]:
        settings = self._workshop.argocd
        if obstacle := why_not_configured(self._workshop):
            raise Unwilling("not_configured", obstacle)
        url = f"{(settings.url or '').rstrip('/')}/api/v1/applications/{quote(self._name, safe='')}"
        token = self._workshop.secret(settings.token or "")
        if not token.isascii() or not token.isprintable():
            raise Permanent("the token of Argo CD holds characters that cannot be sent")
        if method != "GET":
            self._must_act()
        with _translated():
            async with self._workshop.session().request(
                method,
                URL(url + path).with_query(dict(query)),
                json=body,
                headers={"Authorization": f"Bearer {token}"},
                timeout=aiohttp.ClientTimeout(total=settings.timeout.total_seconds()),
                allow_redirects=False,
            ) as answer:
                raw = await _all_of(answer)
        payload = _read(raw)
        if answer.status == 200 and payload is not None:
            return payload
        raise self._error(answer.status, payload)

    def _error(self, status: int, payload: Mapping[str, Any] | None) -> Exception:
        """What an answer that is no success means; the code of gRPC tells more than HTTP's."""
        code = payload.get("code") if payload is not None else None
        message = sentence((payload or {}).get("message"))
        text = f"Argo CD answered {status}{f': {message}' if message else ''}"
        if code == 16 or status == 401:
            return Unwilling("forbidden", f"{text}; its token (argocd.token) is wrong or expired")
        if code == 7 or status == 403:
            mend = "allow the account of argocd.token `get` and `sync`"
            hint = f"or there is no application {self._name} (it says the same to both)"
            return Unwilling("forbidden", f"{text}; {mend}, {hint}")
        if code == 5 or (status == 404 and payload is not None):
            return Unwilling("no_such_application", f"there is no application {self._name}: {text}")
        if code == 9 and "auto-sync" in message:
            return Unwilling("auto_sync", text)
        if code == 9 and "another operation" in message:
            return Unwilling("operation_running", text)
        if status == 429 or status >= 500:
            return Temporary(text)
        if payload is None:
            return Permanent(f"{text}, which is not its API; look at argocd.url in stopgap.yaml")
        return Unwilling("refused_by_argocd", text)


def why_not_configured(workshop: Workshop) -> str | None:
    """Which setting is missing, or None."""
    missing = [n for n in ("url", "token") if not getattr(workshop.argocd, n)]
    if not missing:
        return None
    return f"Argo CD is not known: set {' and '.join(missing)} under `argocd:` in stopgap.yaml"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Temporary(f"Argo CD cannot be reached ({type(error).__name__})") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise RequestUncertain(f"Argo CD did not answer ({type(error).__name__})") from None
    except ValueError:  # aiohttp's InvalidURL, too
        raise Permanent("argocd.url or argocd.token in stopgap.yaml cannot be used") from None


async def _all_of(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > _MOST:
            raise Permanent("Argo CD answered with more than is ever read")
    return bytes(body)


def _read(raw: bytes) -> Mapping[str, Any] | None:
    try:
        payload = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return payload if isinstance(payload, Mapping) else None


# ── seeing changes ───────────────────────────────────────────────────────────────────────────


class ArgoCDWatch:
    """Sees what an application has had live, by its history in Argo CD."""

    Params = ArgoCDPlace

    def __init__(self, params: ArgoCDPlace, workshop: Workshop) -> None:
        self._argo = Argo(workshop, params)
        self._subject = params.target

    async def look(self) -> Sequence[Change]:
        """The history, then what is being synced just now. Raises Temporary or Permanent."""
        seen = await self._argo.get()
        changes, operation = seen.changes(self._subject), seen.operation
        before = changes[-1].item if changes else ""
        going_on = operation.running and not operation.dry
        if going_on and operation.started and operation.item not in {"", before}:
            new = Change(
                subject=self._subject,
                item=operation.item,
                previous=before,
                at=operation.started,  # as the history will date it
                seen_by="argocd",
                text=f"{short(operation.item)}, being synced",
            )
            changes.append(new)
        if changes and (going_on or seen.health == "Progressing"):
            changes[-1] = changes[-1].model_copy(update={"rolling": True})
        return changes
