"""Routes whose handlers are loaded when the first request wants one of them.

The pages and most of the API are a quarter of the daemon's code, and a night may pass without
anybody looking; alerts and probes do not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from aiohttp import web
from aiohttp.web_urldispatcher import (
    AbstractResource,
    AbstractRoute,
    UrlDispatcher,
    UrlMappingMatchInfo,
)
from yarl import URL


class LateRoutes(AbstractResource):
    """A resource for every path that no other one has; `load` makes the routes, once."""

    def __init__(self, load: Callable[[], Iterable[web.AbstractRouteDef]]) -> None:
        super().__init__()
        self._load = load

    @cached_property
    def _router(self) -> UrlDispatcher:
        router = UrlDispatcher()
        router.add_routes(self._load())
        router.freeze()
        return router

    @property
    def canonical(self) -> str:
        """Below which path it is asked."""
        return "/{path}"

    async def resolve(self, request: web.Request) -> tuple[UrlMappingMatchInfo | None, set[str]]:
        """The route of the request, or None and the methods that its path has."""
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
