"""The HTTP of Prometheus's library: queries as a form, gateways that take GET alone, no secrets.

The library writes a query into the address even of a POST, where a proxy's 414 awaits it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlencode

import requests
from requests.adapters import DEFAULT_POOLSIZE
from requests.cookies import extract_cookies_to_jar
from urllib3.util.retry import Retry

from daemon.adapters.http_access import HttpAccess
from daemon.adapters.outgoing.pinned_requests import PinnedAdapter
from daemon.core.values.outcome import Permanent
from daemon.core.values.outgoing import SCHEMES

QueryMethod = Literal["auto", "post", "get"]
_Method = Literal["POST", "GET"]

_NO_SUCH_METHOD = frozenset({403, 405, 501})
_TOO_LONG = frozenset({413, 414, 431})
NO_RETRY = Retry(total=0, redirect=0)
_UNKNOWN = frozenset({401, 403, 407})
_ANSWERS = frozenset({200, 400, 422})
"""What Prometheus itself answers to a query that has reached it."""

Reread = Callable[[], HttpAccess]


class QuerySession(requests.Session):
    """Reaches one server as `access` says, which may be renewed. With `auto` the method of queries
    is found out by the first refusal, at the cost of one more request, and remembered.

    `reread` reads the secrets again, which may have been exchanged: a 401 asks for that, once.
    Raises Permanent for what only the settings, or the gateway's, can mend.
    """

    def __init__(
        self, access: HttpAccess, method: QueryMethod = "auto", reread: Reread | None = None
    ) -> None:
        super().__init__()
        self.access = access
        self._reread = reread
        self._choice = method
        self._method: _Method = "GET" if method == "get" else "POST"
        self._common: dict[tuple[_Method, str], tuple[HttpAccess, requests.PreparedRequest]] = {}
        # Neither the environment's proxy nor credentials of ~/.netrc, which would replace ours.
        self.trust_env = False
        for scheme in SCHEMES:
            self.mount(f"{scheme}://", self.adapter(DEFAULT_POOLSIZE))
        self.headers.update(access.sent)
        if access.proxy:
            self.proxies = {"http": access.proxy, "https": access.proxy}
        trust = access.trust
        if trust is not None:
            trust.context()  # a file that is missing is told now, and not at each query
            self.verify = True if trust.ca is None else str(trust.ca)
            if trust.certificate is not None:
                own = str(trust.certificate)
                self.cert = own if trust.key is None else (own, str(trust.key))

    def adapter(self, threads: int) -> PinnedAdapter:
        """What connects, for so many threads at once; no request is sent again by itself."""
        return PinnedAdapter(self.access.policy, max_retries=NO_RETRY, pool_maxsize=threads)

    @property
    def gets(self) -> bool:
        """Whether queries have turned out to be taken in the address alone."""
        return self._choice == "auto" and self._method == "GET"

    def request(  # type: ignore[override] # the library gives these three, and keywords
        self, method: str, url: str, params: Mapping[str, str] | None = None, **more: Any
    ) -> requests.Response:
        """A POST is one of a query. Raises Permanent, and what requests raises."""
        if method == "POST":
            return self._checked(self._query(url, params or {}, more))
        return self._checked(self._known("GET", url, params or {}, more))

    def _query(
        self, url: str, params: Mapping[str, str], more: Mapping[str, Any]
    ) -> requests.Response:
        first = self._method
        answer = self._known(first, url, params, more)
        refused = _NO_SUCH_METHOD if first == "POST" else _NO_SUCH_METHOD | _TOO_LONG
        if self._choice != "auto" or answer.status_code not in refused:
            return answer
        other: _Method = "GET" if first == "POST" else "POST"
        again = self._known(other, url, params, more)
        if again.status_code in _ANSWERS:
            self._method = other
            return again
        return again if again.status_code in _TOO_LONG else answer

    def _known(
        self, method: _Method, url: str, params: Mapping[str, str], more: Mapping[str, Any]
    ) -> requests.Response:
        """Ask; if we are not known, once more with the secrets as they are by now."""
        answer = self._send(method, url, params, more)
        if answer.status_code != 401 or self._reread is None:
            return answer
        fresh = self._reread()
        if fresh.sent == self.access.sent:
            return answer
        self.headers.update(fresh.sent)
        self.access = fresh
        return self._send(method, url, params, more)

    def _send(
        self, method: _Method, url: str, params: Mapping[str, str], more: Mapping[str, Any]
    ) -> requests.Response:
        ready = self._prepared(method, url).copy()
        if method == "POST":
            ready.body = urlencode(params)
            ready.headers["Content-Length"] = str(len(ready.body))
            ready.headers["Content-Type"] = "application/x-www-form-urlencoded"
        else:
            ready.prepare_url(url, params)
        return self._sent(ready, more.get("timeout"))

    def _sent(self, ready: requests.PreparedRequest, timeout: float | None) -> requests.Response:
        """What the library's `send` does for one without redirects, which would make a GET of a
        form, and take our headers to somebody else; all else that it does costs a third."""
        answer = self.get_adapter(ready.url or "").send(
            ready,
            timeout=timeout,
            verify=self.verify,  # type: ignore[arg-type] # it is never None
            cert=self.cert,
            proxies=self.proxies,
        )
        if "Set-Cookie" in answer.headers:
            extract_cookies_to_jar(self.cookies, ready, answer.raw)  # type: ignore[no-untyped-call]
        _ = answer.content  # all of it, which gives the connection back
        for heard in ready.hooks["response"]:
            heard(answer)
        return answer

    def _prepared(self, method: _Method, url: str) -> requests.PreparedRequest:
        """What all requests there have in common, worked out once: that costs as much as the rest
        of sending one."""
        access, known = self.access, self._common.get((method, url))
        if known is not None and known[0] is access and not self.cookies:
            return known[1]
        prepared = self.prepare_request(requests.Request(method, url))
        self._common[method, url] = access, prepared
        return prepared

    def _checked(self, answer: requests.Response) -> requests.Response:
        """The answer, of which an error's text holds none of our secrets."""
        status = answer.status_code
        if status == 200:
            return answer
        if answer.is_redirect:
            raise self.access.redirected(status, answer.headers["Location"])
        if status in _TOO_LONG:
            raise self._too_long(answer)
        text = self.access.clean(answer.text)
        if status in _UNKNOWN:
            raise self.access.unknown(status, text)
        if status in _NO_SUCH_METHOD:
            said = " ".join(text.replace(";", ",").split())[:200]
            no = f"{self.access.address} takes no {answer.request.method} ({status} {said})"
            raise Permanent(f"{no}; see `{self.access.setting}.method`")
        answer._content = text.encode()  # noqa: SLF001 - there is no other way to replace it
        answer.encoding = "utf-8"
        return answer

    def _too_long(self, answer: requests.Response) -> Permanent:
        text = f"{self.access.address} answers {answer.status_code}: the query is too long for it"
        if answer.request.method == "POST":
            return Permanent(
                f"{text} as a form; let it take more (nginx: client_max_body_size), or shorten the "
                "query by a recording rule"
            )
        return Permanent(
            f"{text} in an address; let it take POST on /api/v1/query and /api/v1/query_range "
            f"(`{self.access.setting}.method: auto`), or longer addresses (nginx: "
            "large_client_header_buffers), or shorten the query by a recording rule"
        )
