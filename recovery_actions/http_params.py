"""The parameters of `http_call`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from daemon.core.people.contact_methods import Reference
from daemon.core.values.units import Duration, Frozen
from recovery_actions.addresses import HeaderName, HeaderValue, PlainHeaderName, UrlText
from recovery_actions.commands import PlainText

_LARGEST = 65_536
_MOST_HEADERS = 20


def _pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError("write where it stands, like /enabled or /flags/0/on")
    return text


def _status(status: int) -> int:
    if not (200 <= status < 300 or 400 <= status < 500):
        raise ValueError("only 200 to 299 and 400 to 499 can be expected; redirects never are")
    return status


def _encodable(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("it holds a character that is no text")
    return text


def _finite(value: Any) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise ValueError(
            "it is no JSON: a number is not finite, or it is nested too deep"
        ) from None
    return value


Pointer = Annotated[PlainText, AfterValidator(_pointer)]
_StatusCode = Annotated[int, AfterValidator(_status)]
_Json = Annotated[JsonValue, AfterValidator(_finite)]


class HttpCheck(Frozen):
    """A GET by which one sees whether it came true: `expect_json` maps places in the JSON that
    it answers (RFC 6901: /flags/0/on) to what must stand there. Secret headers go with it if it
    asks the same server.
    """

    url: UrlText
    expect_json: dict[Pointer, _Json] = Field(min_length=1, max_length=20)


class HttpCallParams(Frozen):
    """`secret_headers` say where their values are (env:NAME, file:PATH). `expect` lists the
    statuses of success, 200 to 299 if empty. `target` names what the request changes; requests
    that change the same thing share it.
    """

    model_config = ConfigDict(
        populate_by_name=True,
        json_schema_extra={
            "examples": [{"method": "PUT", "url": "https://flags.example/loyalty/off"}]
        },
    )

    method: Literal["PUT", "POST", "PATCH", "DELETE"]
    url: UrlText
    headers: dict[PlainHeaderName, HeaderValue] = Field(
        default_factory=dict, max_length=_MOST_HEADERS
    )
    secret_headers: dict[HeaderName, Reference] = Field(
        default_factory=dict, max_length=_MOST_HEADERS
    )
    json_body: _Json = Field(default=None, alias="json")
    body: Annotated[str, AfterValidator(_encodable)] | None = None
    expect: tuple[_StatusCode, ...] = ()
    timeout: Duration = Field(
        default=timedelta(seconds=10), gt=timedelta(0), le=timedelta(minutes=1)
    )
    target: PlainText = ""
    check: HttpCheck | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.json_body is not None and self.body is not None:
            raise ValueError("write `json` or `body`, not both")
        names = [name.lower() for name in (*self.headers, *self.secret_headers)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the header {twice[0]} is there twice")
        if len(self.content[0] or b"") > _LARGEST:
            raise ValueError(f"the body has more than {_LARGEST} bytes")
        return self

    @property
    def content(self) -> tuple[bytes | None, str]:
        """The body, if there is one, and its type."""
        if self.json_body is not None:
            return json.dumps(self.json_body).encode(), "application/json"
        if self.body is not None:
            return self.body.encode(), "text/plain; charset=utf-8"
        return None, ""

    @property
    def statuses(self) -> frozenset[int]:
        """The statuses of success."""
        return frozenset(self.expect or range(200, 300))

    @property
    def check_url(self) -> str:
        """Where `check` looks, for a sentence."""
        return self.check.url.partition("?")[0] if self.check else ""
