"""The JSON API, `/api/v1`: what can be asked and done over HTTP, and the document about it.

`operations` has the table's rows and serves them, `reading` turns requests into models, `openapi`
and `docs` tell people and programs of them. Each room (`incidents`, `people`, `words`, …) adds
its rows; `application` puts it all together.
"""

from daemon.web.api.application import web_application
from daemon.web.house import House

__all__ = ["House", "web_application"]
