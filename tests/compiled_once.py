"""What is compiled once in a process: hundreds of tests make an application of their own, of the
same templates, rules and models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache, partialmethod
from types import CodeType
from typing import Any

import jinja2
import yaml
from jinja2.bccache import Bucket


class _Compiled(jinja2.BytecodeCache):
    """What was compiled, by its file and its text."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType | None] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.code


def compile_once() -> None:
    """From now on every environment of templates knows what another one has compiled, and a text of
    YAML is parsed once."""
    made = partialmethod(jinja2.Environment.__init__, bytecode_cache=_Compiled())
    jinja2.Environment.__init__ = made  # type: ignore[method-assign,assignment]
    compose_all = yaml.compose_all

    @lru_cache(maxsize=500)
    def composed(text: str, loader: Any) -> Sequence[yaml.Node]:
        return tuple(compose_all(text, Loader=loader))

    def compose_once(stream: Any, Loader: Any = yaml.Loader) -> Iterator[yaml.Node]:  # noqa: N803
        # Merge keys are resolved within the nodes themselves.
        if not isinstance(stream, str) or "<<" in stream:
            return compose_all(stream, Loader=Loader)
        try:
            return iter(composed(stream, Loader))
        except (yaml.YAMLError, ValueError):  # told once the nodes before are read
            return compose_all(stream, Loader=Loader)

    yaml.compose_all = compose_once


def describe_once() -> None:
    """From now on the schemas of the same models of the API are made once."""
    from daemon.web.api import openapi

    made = openapi.models_json_schema

    @cache
    def described(models: tuple[Any, ...], by_alias: bool, ref_template: str) -> Any:
        return made(models, by_alias=by_alias, ref_template=ref_template)

    def describe(models: Sequence[Any], *, by_alias: bool, ref_template: str) -> Any:
        return described(tuple(models), by_alias, ref_template)

    openapi.models_json_schema = describe
