"""The API's description: valid OpenAPI 3.1, complete, and a page that people can read."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.contract.rig import URL, Rig, rigged

Json = dict[str, Any]


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with rigged() as found:
        yield found


@pytest.fixture
async def document(rig: Rig) -> Json:
    status, found = await rig.asks("GET", "/api/v1/openapi.json")
    assert status == 200
    return found


def operations(document: Json) -> list[tuple[str, str, Json]]:
    return [
        (method.upper(), path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


async def test_the_document_is_valid(document: Json) -> None:
    # It compiles forty grammars when it is imported, which no other test is to wait for.
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


async def test_it_has_every_route_of_the_api(rig: Rig, document: Json) -> None:
    assert rig.client.app is not None
    served = {
        (route.method, route.resource.canonical)
        for route in rig.client.app.router.routes()
        if route.resource is not None and route.resource.canonical.startswith("/api/v1/")
    }
    told = {(method, path) for method, path, _ in operations(document)}
    assert {(method, path) for method, path in served if method != "HEAD"} - told == {
        ("GET", "/api/v1/docs")
    }
    assert told <= served


async def test_every_operation_tells_what_it_does_and_what_can_go_wrong(document: Json) -> None:
    names = [told["operationId"] for _, _, told in operations(document)]
    assert len(names) == len(set(names))
    for method, path, told in operations(document):
        assert told["summary"][0].isupper(), path
        assert told["responses"].keys() & {"200", "201", "202"}, path
        assert "503" in told["responses"], path
        deed = "/incidents/{id}/" in path and method != "GET"
        assert ("412" in told["responses"]) is deed, path
        needs = [scheme for asked in told["security"] for scheme in asked]
        assert ("401" in told["responses"]) is bool(needs), path


async def test_whoever_has_scopes_may_be_told_that_they_do_not_reach(document: Json) -> None:
    for method, path, told in operations(document):
        by_token = {name for each in told["security"] for name in each} & {"person", "webhook"}
        assert ("403" in told["responses"]) == bool(by_token), (method, path)


async def test_no_generated_name_means_two_models(document: Json) -> None:
    """Generators of clients call a nameless object by its model and property."""
    schemas = document["components"]["schemas"]
    nameless = {
        model + "".join(part.capitalize() for part in name.split("_"))
        for model, told in schemas.items()
        for name, field in told.get("properties", {}).items()
        if field.get("type") == "object"
    }
    assert not nameless & set(schemas)


async def test_an_answer_may_grow_and_a_body_may_not_be_misspelt(document: Json) -> None:
    schemas = document["components"]["schemas"]
    closed = {name for name, told in schemas.items() if told.get("additionalProperties") is False}
    assert {"FreezingBody", "StepProposalBody"} <= closed
    assert {name for name in closed if not name.endswith("Body")} == set()


async def test_every_bound_is_one_that_json_schema_knows(document: Json) -> None:
    # What pydantic cannot express it writes under its own names, and nobody else reads those.
    strange = {"ge", "gt", "le", "lt", "min_length", "max_length"}

    def keys(part: Any) -> set[str]:
        if isinstance(part, list):
            return set().union(*map(keys, part))
        return set(part).union(*map(keys, part.values())) if isinstance(part, dict) else set()

    assert not keys(document["components"]) & strange
    assert not keys(document["paths"]) & strange


async def test_what_is_sent_and_what_is_answered_may_differ(document: Json) -> None:
    schemas = document["components"]["schemas"]
    assert "startsAt" in schemas["AlertBody"]["properties"]
    assert "starts_at" in schemas["Alert"]["properties"]
    assert schemas["SnoozingBody"]["required"] == ["audience", "for"]


async def test_a_page_of_it_is_for_people(rig: Rig, document: Json) -> None:
    page = await rig.gets("/api/v1/docs")
    for method, path, told in operations(document):
        assert f"<strong>{method}</strong> <code>{path}</code>" in page
        assert f'id="{told["operationId"]}">' in page
    asked = f"curl -X POST {URL}/api/v1/incidents/{{id}}/escalate"
    assert asked.replace("{", "{") in page.replace("&#39;", "")
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= set(re.findall(r'id="([^"]+)"', page))
    assert {"model-IncidentView", "problem-changed-meanwhile", "room-people"} <= links
    assert not re.search(r'(src|href)="(https?:)?//', page)
