"""The secrets that settings and roster name, and which of them are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from daemon.config.access import AccessSettings
from daemon.config.settings import Settings, secret
from daemon.core.people.contact_methods import REFERENCE, Reference
from daemon.core.people.roster import Roster
from daemon.core.values.outcome import Permanent


class MissingSecret(NamedTuple):
    """A secret that cannot be read: the place that names it, why, and the mend."""

    place: str
    why: str
    mend: str


def secret_references(given: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Each reference to a secret in a model, with its place."""
    if isinstance(given, AccessSettings):
        for name, reference in given.references.items():
            yield ".".join((*place, name)), reference
    if isinstance(given, Settings) and REFERENCE.fullmatch(given.store):
        yield "store", given.store
    if isinstance(given, BaseModel):
        for name, info in type(given).model_fields.items():
            value = getattr(given, name)
            is_reference = _is_reference(info)
            if is_reference and isinstance(value, str):
                yield ".".join((*place, name)), value
            elif not is_reference:
                yield from secret_references(value, (*place, name))
    elif isinstance(given, dict):
        for key, value in given.items():
            yield from secret_references(value, (*place, str(key)))
    elif isinstance(given, list | tuple):
        for number, value in enumerate(given, 1):
            yield from secret_references(value, (*place, str(number)))


def missing_secrets(
    given: Settings | Roster,
    environ: Mapping[str, str],
    settings: Settings,
    above: tuple[str, ...] = (),
) -> Iterator[MissingSecret]:
    """Those of the settings, or of the roster beside them, that no daemon could read here; their
    places are `above` all."""
    for place, reference in secret_references(given, above):
        try:
            secret(reference, environ, settings.base)
        except Permanent as error:
            in_variable = reference.startswith("env:")
            mend = "export it here, and in the daemon's unit" if in_variable else "write it"
            yield MissingSecret(place, str(error), mend)


def _is_reference(info: Any) -> bool:
    validators = Reference.__metadata__  # type: ignore[attr-defined]
    marks = [*info.metadata, *getattr(info.annotation, "__metadata__", ())]
    for part in getattr(info.annotation, "__args__", ()):
        marks += getattr(part, "__metadata__", ())
    return any(mark is validators[0] for mark in marks)
