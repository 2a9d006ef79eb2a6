"""The JSON API, `/api/v1`: what can be asked and done over HTTP, and the document about it.

`operation` has the table's rows and serves them, `request_parsing` turns requests into models,
`openapi` and `docs` describe them to people and programs. Each section (`incidents`, `people`,
`updates`, …) adds its rows to `table`.
"""
