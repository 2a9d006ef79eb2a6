"""`http_call`: one HTTP request, to switch a feature flag off or to shift traffic.

    - action: http_call
      with:
        method: PATCH
        url: https://flags.example.org/api/flags/checkout-v2
        secret_headers: {Authorization: env:FLAGS_TOKEN}
        json: {enabled: false}
        check:
          url: https://flags.example.org/api/flags/checkout-v2
          expect_json: {/enabled: false}

It may be sent more than once, always with the same Idempotency-Key, so what it asks for must be
a state ("off") and no change ("toggle"). Redirects are never followed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

from daemon.core.ports.actions import ActionContext, Landed, Ready, Refused
from daemon.core.values.outcome import Outcome, Permanent
from daemon.core.values.outgoing import AddressRefused
from recovery_actions.addresses import origin, sendable, why_not_reachable, without_query
from recovery_actions.http_exchange import HttpAnswer, Lost, NotSent, exchange, pointed, quoted
from recovery_actions.http_params import HttpCallParams
from recovery_actions.reasons import ActionReason, NotReady, ending
from recovery_actions.workshop import Workshop


class HttpCall:
    """Send an allowed request; tell by a second one, if `check` names it, whether it came true."""

    name = "http_call"
    risk = "Stopgap cannot tell whether the other side can undo it, nor what it touches"
    Params: type[BaseModel] = HttpCallParams

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop

    def allowed(self, params: HttpCallParams) -> str | None:
        """Why the settings do not allow these hosts, or None if they do."""
        urls = [params.url, *([params.check.url] if params.check else [])]
        obstacles = (why_not_reachable(url, self._workshop.hosts) for url in urls)
        return next((text for text in obstacles if text), None) or self._refused(urls)

    def _refused(self, urls: Sequence[str]) -> str | None:
        try:
            for url in urls:
                self._workshop.outgoing.check_literally(url)
        except AddressRefused as error:
            return str(error)
        return None

    def target(self, params: HttpCallParams) -> str:
        """`target` as given; a request without one is its own, but for its query."""
        return params.target or f"http:{params.method} {without_query(params.url)}"

    async def show(self, params: HttpCallParams, context: ActionContext) -> Mapping[str, str]:
        """What stands where `check` looks; nothing without one."""
        if params.check is None or self.allowed(params):
            return {}
        found = await self._look(params)
        if isinstance(found, str):
            return {"check": found}
        pointers = params.check.expect_json
        return {
            pointer: f"{found.get(pointer, 'absent')} (wanted: {json.dumps(pointers[pointer])})"[
                :300
            ]
            for pointer in pointers
        }

    async def preflight(self, params: HttpCallParams, context: ActionContext) -> Ready | Refused:
        """Refuses with `host_not_allowed`, `secret_unreadable` or `already_so`."""
        if obstacle := self.allowed(params):
            return NotReady("host_not_allowed", obstacle)
        try:
            self._secrets(params)
        except Permanent as error:
            return NotReady("secret_unreadable", str(error))
        if await self._true(params) == "done":
            text = f"{self.target(params)}: it is as wanted already, so there is nothing to send"
            return NotReady("already_so", text)
        request = _request(params)
        return Ready(f"send {request} to change {self.target(params)}", {"request": request})

    async def run(
        self, params: HttpCallParams, intent: Mapping[str, str], context: ActionContext
    ) -> Outcome:
        """`done` on an expected status, or if `check` says so; else `failed` with `unreachable`,
        `redirected`, `refused_by_server`, `server_error` or `unexpected_status`, or `unknown`
        with `timeout` or `interrupted`. Refuses as preflight does.
        """
        if obstacle := self.allowed(params):
            return ending(result="refused", reason="host_not_allowed", detail=obstacle)
        try:
            secrets = self._secrets(params)
        except Permanent as error:
            return ending(result="refused", reason="secret_unreadable", detail=str(error))
        request = _request(params)
        if await self._true(params) == "done":
            text = f"it was as wanted already, without {request}"
            return ending(result="done", reason="already_so", detail=text)
        try:
            answer = await self._send(params, secrets, context.token)
        except NotSent as error:
            text = f"{request} was not sent: {error}"
            return ending(result="failed", reason="unreachable", detail=text)
        except Lost as error:
            text = f"{request} was sent, but {error}"
            lost = ending(result="unknown", reason=error.reason, detail=text)
            return await self._but_true(params, lost)
        outcome = _judged(params, answer, secrets)
        doubtful = outcome.reason == "server_error"
        return await self._but_true(params, outcome) if doubtful else outcome

    async def check(
        self, params: HttpCallParams, intent: Mapping[str, str], context: ActionContext
    ) -> Landed:
        """What `check` of the parameters sees; `unknown` without one, or without an answer."""
        return await self._true(params)

    def _secrets(self, params: HttpCallParams) -> dict[str, str]:
        """The secret headers. Raises Permanent, which tells no secret."""
        found = {}
        for name, reference in params.secret_headers.items():
            value = self._workshop.secret(reference).strip()
            if not sendable(value):
                raise Permanent(f"what {reference} holds cannot be sent as the header {name}")
            found[name] = value
        return found

    async def _send(
        self, params: HttpCallParams, secrets: Mapping[str, str], token: str
    ) -> HttpAnswer:
        body, kind = params.content
        headers = {"Content-Type": kind} if body is not None else {}
        given = {name.lower() for name in (*params.headers, *secrets)}
        headers = {k: v for k, v in headers.items() if k.lower() not in given}
        headers |= {**params.headers, **secrets, "Idempotency-Key": token}
        session, limit = self._workshop.session(), params.timeout
        return await exchange(session, params.method, params.url, headers, body, limit)

    async def _look(self, params: HttpCallParams) -> dict[str, str] | str:
        """What `check` points to, as JSON by pointer; or a sentence, if nobody can tell."""
        check = params.check
        if check is None:
            return "there is no `check`"
        headers: dict[str, str] = {"Accept": "application/json"}
        try:
            # A secret goes to the server that it is for, and to no other allowed one.
            secrets = self._secrets(params) if origin(check.url) == origin(params.url) else {}
            headers |= secrets
            answer = await exchange(
                self._workshop.session(), "GET", check.url, headers, None, params.timeout
            )
            if answer.status != 200:
                return f"{without_query(check.url)} answered {answer.status}"
            document = json.loads(answer.body)
        except (NotSent, Lost, Permanent) as error:
            return f"{without_query(check.url)} cannot be asked: {error}"
        except (ValueError, RecursionError):
            return f"{without_query(check.url)} answered with no JSON, or with too much"
        found = {}
        for pointer in check.expect_json:
            there, value = pointed(document, pointer)
            if there:
                found[pointer] = quoted(json.dumps(value, sort_keys=True), secrets.values())
        return found

    async def _true(self, params: HttpCallParams) -> Landed:
        found = await self._look(params)
        if params.check is None or isinstance(found, str):
            return "unknown"
        expected = {p: json.dumps(v, sort_keys=True) for p, v in params.check.expect_json.items()}
        return "done" if found == expected else "not_done"

    async def _but_true(self, params: HttpCallParams, outcome: Outcome) -> Outcome:
        """The outcome, unless `check` sees that it came true all the same."""
        if await self._true(params) != "done":
            return outcome
        text = f"{outcome.detail}; it came true all the same, says {params.check_url}"
        return ending(result="done", reason="found_done", detail=text)


def _request(params: HttpCallParams) -> str:
    return f"{params.method} {without_query(params.url)}"


def _judged(params: HttpCallParams, answer: HttpAnswer, secrets: Mapping[str, str]) -> Outcome:
    status, request = answer.status, _request(params)
    facts = {"status": str(status)}
    quotation = quoted(answer.excerpt, secrets.values())
    detail = f"{request} was answered with {status}" + (f": {quotation}" if quotation else "")
    if status in params.statuses:
        text = f"{request} was answered with {status}"
        return ending(result="done", reason="called", detail=text, facts=facts)
    reason: ActionReason
    if 300 <= status < 400:
        reason = "redirected"
        detail = f"{request} was redirected ({status}); write the address that it leads to"
    elif 400 <= status < 500:
        reason = "refused_by_server"
    else:
        reason = "server_error" if status >= 500 else "unexpected_status"
    return ending(result="failed", reason=reason, detail=detail, facts=facts)
