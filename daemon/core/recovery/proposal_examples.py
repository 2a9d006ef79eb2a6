"""An example of the parameters of an action, from its own schema: one that can be typed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

_BY_TYPE: Mapping[str, Any] = {
    "integer": 1,
    "number": 1,
    "boolean": True,
    "array": ["…"],
    "object": {},
}


def example_params(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The first of the schema's `examples`; without any, what it requires, by its types."""
    given = schema.get("examples")
    if given and isinstance(given[0], Mapping):
        return dict(given[0])
    properties: Mapping[str, Any] = schema.get("properties", {})
    return {
        name: _BY_TYPE.get(str(properties.get(name, {}).get("type")), name.upper())
        for name in schema.get("required", ())
    }


def example_options(schema: Mapping[str, Any]) -> str:
    """It as `stopgap propose` takes it: `--with namespace=prod --with deployment=shop`."""
    pairs = (f"{name}={_typed(value)}" for name, value in example_params(schema).items())
    return " ".join(f"--with {shlex.quote(pair)}" for pair in pairs)


def example_lines(schema: Mapping[str, Any]) -> str:
    """It as the page takes it: one `name: value` a line."""
    return "\n".join(f"{name}: {_typed(value)}" for name, value in example_params(schema).items())


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
