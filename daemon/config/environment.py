"""The environment over stopgap.yaml.

A variable's name is `STOPGAP_` and the setting's path in capitals, parted by two underscores:
`STOPGAP_PROMETHEUS__URL`. Lists and mappings are JSON: `STOPGAP_COMMANDS__ALLOW='[["true"]]'`; a
section given whole is merged key by key. Only names of settings are looked at, for other
STOPGAP_ variables hold people's tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from daemon.core.values.yaml_document import Path, YamlDocument

PREFIX = "STOPGAP_"


def overridden(
    document: YamlDocument, model: type[BaseModel], environ: Mapping[str, str]
) -> YamlDocument:
    """The document with the environment's values at the places that their variables name."""
    taken = {path: name for name, path in _variables(model) if name in environ}
    if not taken or not isinstance(document.data, dict):
        return document
    # Imported here: it takes a seventh of a second, and the command line seldom needs it.
    from daemon.config.environment_source import GivenVariables

    given = GivenVariables(model, {name: environ[name] for name in taken.values()}, PREFIX)()
    origins = dict(_origins(document.data, given, taken))
    return replace(document, data=_merged(document.data, given, taken), origins=origins)


def _variables(model: type[BaseModel], above: Path = ()) -> Iterator[tuple[str, Path]]:
    """The names of the variables of all settings, and the places that they set."""
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        path = (*above, field.alias or name)
        yield PREFIX + "__".join(map(str, path)).upper(), path
        if get_origin(field.annotation) in (dict, tuple):
            continue  # what is in it has names, or places, that nobody knows beforehand
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _variables(kind, path)


def _origins(
    data: Any, given: Any, taken: Mapping[Path, str], path: Path = (), name: str = ""
) -> Iterator[tuple[Path, str]]:
    """Each place that is set, and the variable that sets it; of a section of which the file has
    a part, the places within alone."""
    name = taken.get(path, name)
    if name and not (isinstance(given, dict) and isinstance(data, dict)):
        yield path, name
    if not isinstance(given, dict):
        return
    inside = data if isinstance(data, dict) else {}
    for key, value in given.items():
        yield from _origins(inside.get(key), value, taken, (*path, key), name)


def _merged(data: Any, given: Any, taken: Mapping[Path, str], path: Path = ()) -> Any:
    if not isinstance(given, dict) or data is None:
        return given
    if not isinstance(data, dict):
        # No section where one belongs: that mistake is told, of the variable if it is the
        # variable's.
        return given if path in taken else data
    inner = {
        key: _merged(data.get(key), value, taken, (*path, key)) for key, value in given.items()
    }
    return {**data, **inner}
