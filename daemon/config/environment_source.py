"""pydantic-settings' reading of variables, of given ones instead of all that the process has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource


class GivenVariables(EnvSettingsSource):
    """Called, it returns the values as nested mappings, lists and text; nothing is validated."""

    def __init__(self, model: type[BaseModel], given: Mapping[str, str], prefix: str) -> None:
        """Every name in `given` is that of a setting of the model, after the prefix."""
        self._given = given
        # No BaseSettings, which would read the whole environment by itself; the source asks no
        # more of the class than its fields and its configuration.
        settings = cast(type[BaseSettings], model)
        super().__init__(settings, env_prefix=prefix, env_nested_delimiter="__")

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._given.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """The JSON in a value. What is none stays text: the validation tells its place, while
        an error from here would name the section alone."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except (ValueError, RecursionError):
            return value
