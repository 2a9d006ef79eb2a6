"""The templates of the pages, and answers written by them.

Loaded with the first page: Jinja takes 2 MB, and a night may pass without anybody looking.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import jinja2
from aiohttp import web

from daemon.web.site.filters import FILTERS


def rendered(template: str, context: Mapping[str, Any], status: int = 200) -> web.Response:
    """The page that the template makes of this. Raises jinja2.TemplateError if it lacks a value."""
    text = _environment().get_template(template).render(context)
    return web.Response(text=text, status=status, content_type="text/html")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("daemon.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,  # looking whether a file has changed costs more than a short page
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    return environment
