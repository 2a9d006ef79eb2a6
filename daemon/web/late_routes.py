"""Routes whose handlers are loaded when the first request wants one of them.

The pages and most of the API are a quarter of the daemon's code, and a night may pass without
anybody looking; alerts and probes do not wait for it, neither at the start nor then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

import structlog
from aiohttp import web
from aiohttp.web_urldispatcher import (
    AbstractResource,
    AbstractRoute,
    ResourceRoute,
    UrlDispatcher,
    UrlMappingMatchInfo,
)
from yarl import URL

from daemon.web.errors import HttpProblem

_log = structlog.get_logger()

Loaded = Callable[[], Iterable[web.AbstractRouteDef]]
"""Makes the routes of modules that are loaded; takes milliseconds."""


class LateRoutes(AbstractResource):
    """A resource for every path that no other one has. `load` imports what the routes need, which
    takes a part of a second, and is asked again if it fails."""

    def __init__(self, load: Callable[[], Loaded]) -> None:
        super().__init__()
        self._load = load
        self._made: UrlDispatcher | None = None
        self._loading = asyncio.Lock()

    @property
    def _router(self) -> UrlDispatcher:
        return self._with(self._load()) if self._made is None else self._made

    def _with(self, loaded: Loaded) -> UrlDispatcher:
        router = UrlDispatcher()
        router.add_routes(loaded())
        router.freeze()
        self._made = router
        return router

    @property
    def canonical(self) -> str:
        """Below which path it is asked."""
        return "/{path}"

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """The route of the request, or None and the methods that its path has."""
        async with self._loading:
            try:
                # In a thread: whoever looks first may do so in the middle of a storm.
                if self._made is None:
                    self._with(await asyncio.to_thread(self._load))
            except Exception as error:
                _log.exception("the pages and the API cannot be loaded; restart the daemon")
                return UrlMappingMatchInfo({}, _refusing(self, error)), set()
        found = await self._router.resolve(request)
        refused = found.http_exception
        if refused is None:
            return found, set()
        return None, (
            set(refused.allowed_methods) if isinstance(refused, web.HTTPMethodNotAllowed) else set()
        )

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._router.routes())

    def __len__(self) -> int:
        return len(self._router.routes())

    def raw_match(self, path: str) -> bool:
        """No route is added to it later."""
        return False

    def get_info(self) -> dict[str, str]:  # type: ignore[override]
        """What it is, for who looks into the router."""
        return {"path": self.canonical}

    def url_for(self, **kwargs: str) -> URL:
        """It has no address of its own."""
        raise NotImplementedError

    def add_prefix(self, prefix: str) -> None:
        """It stands at the root alone."""
        raise NotImplementedError


def _refusing(resource: AbstractResource, error: Exception) -> AbstractRoute:
    async def refuse(_: web.Request) -> NoReturn:
        raise HttpProblem(
            503,
            "Not loaded",
            f"the daemon takes alerts and pages people, but cannot load its pages and its API "
            f"({error}): is its program on disk another than the one that runs, since an upgrade? "
            "Restart it",
        )

    return ResourceRoute("*", refuse, resource)
