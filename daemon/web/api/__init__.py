"""The JSON API, `/api/v1`: what can be asked and done over HTTP, and the document about it.

`operations` has the table's rows and serves them, `reading` turns requests into models, `openapi`
and `docs` tell people and programs of them. Each room (`incidents`, `people`, `words`, …) adds
its rows to `table`.
"""
