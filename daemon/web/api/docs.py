"""The API's description: the OpenAPI document for programs, and a page for people."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from aiohttp import web
from markupsafe import Markup, escape
from pydantic import JsonValue, RootModel

from daemon.web.api.openapi import SECURITY, Json, document
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.context import WebContext
from daemon.web.errors import KINDS
from daemon.web.links.pages import LINK_HEADERS
from daemon.web.site.templates import rendered

_TAG = "document"


class OpenApiDocument(RootModel[dict[str, JsonValue]]):
    """An OpenAPI document, version 3.1."""


class Docs:
    """The row of the document, and the page."""

    def __init__(self, context: WebContext, table: Sequence[ApiOperation]) -> None:
        self._version = context.overview.version
        self._link = context.links.root
        self._table = table

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        return [ApiOperation("GET", "/api/v1/openapi.json", self.openapi, "nothing", _TAG)]

    def routes(self) -> list[web.RouteDef]:
        """What is for people."""
        return [web.get("/api/v1/docs", self.page)]

    @cached_property
    def _document(self) -> Json:
        return document([*self._table, *self.operations()], self._version)

    @cached_property
    def _rooms(self) -> list[Json]:
        return rooms(self._document, self._link)

    async def openapi(self, call: Call[None, None, None]) -> OpenApiDocument:
        """Describe the API for programs: this document."""
        return OpenApiDocument(self._document)

    async def page(self, request: web.Request) -> web.Response:
        """Describe the API for people."""
        context = {
            "heading": "The API",
            "about": self._document["info"]["description"].split("\n\n"),
            "rooms": self._rooms,
            "problems": KINDS,
            "schemas": schemas(self._document),
            "with_code": with_code,
        }
        response = rendered("docs.html", context)
        response.headers.update(LINK_HEADERS)
        return response


def with_code(text: str) -> Markup:
    """A text of ours for the page: what stands between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def rooms(described: Json, link: str) -> list[Json]:
    """The document's operations by room, as the page shows them."""
    found = []
    for tag in described["tags"]:
        operations = [
            _operation(method, path, operation, link)
            for path, methods in described["paths"].items()
            for method, operation in methods.items()
            if tag["name"] in operation["tags"]
        ]
        found.append({**tag, "operations": operations})
    return found


def schemas(described: Json) -> list[Json]:
    """The models, each with its fields."""
    return [
        {
            "name": name,
            "text": schema.get("description", ""),
            "fields": [
                {
                    "name": field,
                    "kind": kind(spec),
                    "text": spec.get("description", ""),
                    "required": field in schema.get("required", ()),
                }
                for field, spec in schema.get("properties", {}).items()
            ],
            "kind": kind(schema),
        }
        for name, schema in described["components"]["schemas"].items()
    ]


def _operation(method: str, path: str, operation: Json, link: str) -> Json:
    content: Json = next(iter(operation.get("requestBody", {}).get("content", {}).values()), {})
    answers = [
        {
            "status": status,
            "text": answer.get("description", ""),
            "kinds": [kind(media["schema"]) for media in answer.get("content", {}).values()],
            "problem": KINDS[int(status)][0] if "$ref" in answer else "",
        }
        for status, answer in operation["responses"].items()
    ]
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": operation["summary"],
        "text": operation.get("description", ""),
        "parameters": [
            {"description": "", **parameter, "kind": kind(parameter["schema"])}
            for parameter in operation.get("parameters", ())
        ],
        "body": kind(content["schema"]) if content else None,
        "answers": answers,
        "curl": _curl(method.upper(), path, operation, content, link),
    }


def _curl(method: str, path: str, operation: Json, content: Json, link: str) -> str:
    """A line to try it with."""
    examples = [p for p in operation.get("parameters", ()) if "example" in p]
    query = "&".join(f"{p['name']}={p['example']}" for p in examples)
    url = f"{link}{path}" + (f"?{query}" if query else "")
    arguments = ["curl"] if method == "GET" else ["curl", "-X", method]
    line = " ".join([*arguments, shlex.quote(url)])
    for scheme in [name for required in operation["security"] for name in required]:
        named = SECURITY[scheme].get("name")
        header = f"{named}: …" if named else "Authorization: Bearer $STOPGAP_TOKEN"
        line += f' \\\n  -H "{header}"'
    if "example" in content:
        sent = shlex.quote(json.dumps(content["example"], ensure_ascii=False))
        line += f" \\\n  --json {sent}"
    return line


def kind(schema: Any) -> list[tuple[str, str]]:
    """What a schema asks for: words, each with the model that it leads to, if any."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return [(name, name)]
    for joined in ("anyOf", "oneOf", "allOf"):
        if joined in schema:
            return _joined([kind(option) for option in schema[joined]], " or ")
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return [(" | ".join(json.dumps(value) for value in values), "")]
    named = schema.get("type", "anything")
    if named == "array":
        items = schema.get("items") or {}
        return [("list of ", ""), *(kind(items) if items else [("anything", "")])]
    if named == "object" and isinstance(schema.get("additionalProperties"), dict):
        return [("object of ", ""), *kind(schema["additionalProperties"])]
    return [(_bounded(str(named), schema), "")]


def _bounded(named: str, schema: Json) -> str:
    parts = [schema["format"]] if "format" in schema else [named]
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None or high is not None:
        parts.append(f"{low if low is not None else '…'} to {high if high is not None else '…'}")
    if "maxLength" in schema:
        parts.append(f"at most {schema['maxLength']} characters")
    if schema.get("default") not in (None, "", [], {}):
        parts.append(f"default {schema['default']}")
    return ", ".join(parts)


def _joined(parts: Iterable[list[tuple[str, str]]], by: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for part in parts:
        found += [(by, "")] if found else []
        found += part
    return found
