"""The OpenAPI 3.1 document, made of the table and the models that read and answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from daemon.core.people.access import Access
from daemon.web.api.operation import PEOPLES, ApiOperation
from daemon.web.api.request_parsing import IF_MATCH
from daemon.web.errors import KINDS, MEDIA, ProblemDetails

Json = dict[str, Any]
SCHEMAS = "#/components/schemas/"
SENT = "Body"
"""Ends the name of everything that is sent: it may differ from what is answered."""
_TAGS = {
    "incidents": "Find and read incidents.",
    "people": "What people do in an incident: come and go, hold roles, decide, call for others.",
    "plan": "Steer the recovery: approve, start, skip, veto, continue, stop and propose steps.",
    "updates": "Keep people informed.",
    "learning": "Causes, follow-ups and figures.",
    "diagnosis": "What is known of the cause; findings of investigators.",
    "organizing": "Declare incidents by hand; merge, split, relate and give them away.",
    "automation": "Freezes, reported changes, and what rules would have done.",
    "storm": "Many incidents that opened together: list them, and act on all at once.",
    "drills": "Incidents to practise with: hold them, stop them, and how they went.",
    "system": "Rules, coverage, who is on call, and how the daemon does.",
    "access": "Who you are, and your API tokens.",
    "keys": "The keys that sign links and logins.",
    "webhooks": "What other systems tell.",
    "collaboration": "Where people meet over an incident, and tickets with vendors.",
    "hooks": "What pagers and chats tell.",
    "document": "This description.",
}
ABOUT = """\
Everything that the pages and the command line can do. Errors are problem details (RFC 9457).

Each deed on an incident takes `If-Match` with the ETag that `GET /api/v1/incidents/{id}` gave:
if more has happened since, nothing is done, and the answer (412) tells what it was.
"""
SECURITY: dict[str, Json] = {
    "person": {
        "type": "http",
        "scheme": "bearer",
        "description": "A person's own token: `people.NAME.token` in roster.yaml; or an API token "
        "with the scope `read`, `respond` or `admin`; to add findings, with the scope `findings`.",
    },
    "webhook": {
        "type": "http",
        "scheme": "bearer",
        "description": "`auth.webhook_token` in stopgap.yaml; also as the password of basic "
        "authentication, or an API token with the scope `alerts`, `changes` or `sentiment`. Where "
        "none is set, this machine may send without.",
    },
    "hook": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Stopgap-Token",
        "description": "The secret that `opsgenie.webhook_secret` or "
        "`grafana_oncall.webhook_secret` names; a bearer token is taken, too.",
    },
    "pagerduty": {
        "type": "apiKey",
        "in": "header",
        "name": "X-PagerDuty-Signature",
        "description": "PagerDuty's signature of the body, by `pagerduty.webhook_secret`.",
    },
    "slack": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Slack-Signature",
        "description": "Slack's signature of the body and of `X-Slack-Request-Timestamp`, by "
        "`slack.signing_secret`.",
    },
}
_TAG: Json = {"type": "string", "examples": ['"17-3f9a0c1b2d4e"']}
_IF_MATCH: Json = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of the incident as it was looked at; without it, or as `*`, the deed "
    "is done however the incident stands.",
    "schema": {"type": "string", "pattern": IF_MATCH},
}


def document(table: Iterable[ApiOperation], version: str) -> Json:
    """The document, as plain JSON."""
    rows = list(table)
    paths: dict[str, Json] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row)
    used = {row.tag for row in rows}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stopgap",
            "version": version,
            "summary": "Restore first, diagnose second, learn always.",
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": name, "description": text} for name, text in _TAGS.items() if name in used
        ],
        "paths": paths,
        "components": {
            "securitySchemes": SECURITY,
            "schemas": _schemas(rows),
            "responses": {str(status): _problem(status) for status in KINDS},
        },
    }


def _operation(row: ApiOperation) -> Json:
    summary, description = row.description
    found: Json = {
        "operationId": row.name,
        "tags": [row.tag],
        "summary": summary,
        "responses": _responses(row),
        "security": _security(row),
    }
    if description or row.needs in get_args(Access):
        needs = f"Needs the access `{row.needs}`." if row.needs in get_args(Access) else ""
        found["description"] = " ".join(filter(None, (description, needs)))
    parameters = [*_parameters(row)]
    if parameters:
        found["parameters"] = parameters
    body = _body(row)
    if body:
        found["requestBody"] = body
    return found


def _parameters(row: ApiOperation) -> Iterable[Json]:
    at, query, _ = row.parts
    for place, model in (("path", at), ("query", query)):
        if model is None:
            continue
        schema = model.model_json_schema(ref_template=f"{SCHEMAS}{{model}}")
        for name, field in schema["properties"].items():
            attributes = dict(field)
            attributes.pop("title", None)
            parameter: Json = {"name": name, "in": place, "required": place == "path"}
            if "description" in attributes:
                parameter["description"] = attributes.pop("description")
            if row.example and row.method != "POST" and place == "query" and name in row.example:
                parameter["example"] = row.example[name]
            yield {**parameter, "schema": _without_null(attributes)}
    if row.guarded:
        yield _IF_MATCH


def _without_null(schema: Json) -> Json:
    """A parameter that is left out is not null."""
    options = [option for option in schema.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) != 1:
        return schema
    rest = {k: v for k, v in schema.items() if k not in {"anyOf", "default"}}
    return {**rest, **options[0]}


def _body(row: ApiOperation) -> Json | None:
    sent = row.sends or row.parts[2]
    if sent is None or sent is bytes:
        return None
    content: Json = {"schema": {"$ref": f"{SCHEMAS}{sent.__name__}{SENT}"}}
    if row.example:
        content["example"] = dict(row.example)
    required = any(field.is_required() for field in sent.model_fields.values())
    return {"required": required, "content": {row.sent_as: content}}


def _responses(row: ApiOperation) -> Json:
    schema: Json = {"type": "string"}
    if row.answer is not str:
        schema = {"$ref": f"{SCHEMAS}{row.answer.__name__}"}
    story = " ".join((row.answer.__doc__ or "").split()) if row.answer is not str else "Text."
    good: Json = {"description": story, "content": {row.media: {"schema": schema}}}
    good["content"] |= {media: {"schema": {"type": "string"}} for media in row.alternatives}
    if row.tagged:
        text = "How far the incident is; `If-Match` takes it."
        good["headers"] = {"ETag": {"description": text, "schema": _TAG}}
    if "next" in getattr(row.answer, "model_fields", {}):
        text = 'Where the list goes on, with `rel="next"` (RFC 8288).'
        good["headers"] = {"Link": {"description": text, "schema": {"type": "string"}}}
    found: Json = {str(row.status): good}
    if row.tagged and row.method == "GET":
        found["304"] = {"description": "It is as it was (`If-None-Match`)."}
    for status in sorted(_errors(row)):
        found[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return found


def _errors(row: ApiOperation) -> set[int]:
    """The statuses of the problems that it may answer with."""
    at, query, sent = row.parts
    found = {503, *row.errors}
    if row.needs != "nothing":
        found |= {401, 429}
    if row.needs in PEOPLES or row.needs == "webhook":
        found.add(403)  # a person's access, or an API token's scopes, may not go so far
    if at is not None or row.tag == "hooks":
        found.add(404)
    if query is not None or sent is not None or row.guarded:
        found.add(400)
    if sent is not None:
        found |= {413} if sent is bytes else {413, 415}
    if row.guarded:
        found.add(412)
    return found


def _security(row: ApiOperation) -> list[Json]:
    if row.needs == "nothing":
        return []
    return [{"person" if row.needs in PEOPLES else row.needs: []}]


def _problem(status: int) -> Json:
    name, text = KINDS[status]
    schema = {"$ref": f"{SCHEMAS}ProblemDetails"}
    return {"description": f"{name}: {text}", "content": {MEDIA: {"schema": schema}}}


def _schemas(rows: Sequence[ApiOperation]) -> Json:
    answers = {row.answer for row in rows if row.answer is not str} | {ProblemDetails}
    sent = {row.sends or row.parts[2] for row in rows} - {None, bytes}
    return dict(
        sorted(
            {
                **_defined(answers, "serialization", by_alias=False, ending=""),
                **_defined(sent, "validation", by_alias=True, ending=SENT),  # type: ignore[arg-type]
            }.items()
        )
    )


def _defined(models: Iterable[type[BaseModel]], mode: Any, *, by_alias: bool, ending: str) -> Json:
    ordered = sorted(models, key=lambda model: model.__name__)
    _, schema = models_json_schema(
        [(model, mode) for model in ordered],
        by_alias=by_alias,
        ref_template=f"{SCHEMAS}{{model}}{ending}",
    )
    found = {f"{name}{ending}": _plain(part) for name, part in schema.get("$defs", {}).items()}
    if mode == "serialization":
        # A newer daemon may tell more; what a client does not know it ignores (RFC 9457, too).
        for part in found.values():
            if part.get("additionalProperties") is False:
                del part["additionalProperties"]
    twice = [name for name in found if "__" in name]  # what pydantic makes of two of one name
    if twice:
        raise ValueError(f"two models of the API have one name: {', '.join(twice)}")
    return found


def _plain(schema: Any) -> Any:
    """Without the titles that only repeat the name, and with stories on one line."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {}
    for key, value in schema.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "description" and isinstance(value, str):
            found[key] = " ".join(value.split())
        else:
            found[key] = _plain(value)
    return found
