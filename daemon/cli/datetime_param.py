"""Times that people type."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import click

from daemon.core.values.formats import parse_duration

_FAR = timedelta(days=3660)


class DatetimeParam(click.ParamType[datetime]):
    """A date, or a date and time; without an offset it is UTC. With `ago`, also 2h for two hours
    ago."""

    name = "time"

    def __init__(self, *, ago: bool = False) -> None:
        self._ago = ago

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read it; wrong usage otherwise."""
        now = datetime.now(UTC)
        moment = self._read(str(value), now)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if abs(moment - now) > _FAR:
            self.fail(f"{value!r} lies more than ten years from now")
        return moment.astimezone(UTC)

    def _read(self, value: str, now: datetime) -> datetime:
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            example = (
                "7d (ago) or '2026-12-24 18:00'" if self._ago else "'2026-12-24 18:00' or …+01:00"
            )
        try:
            if self._ago:
                return now - min(parse_duration(value), 2 * _FAR)
        except ValueError:
            pass
        raise click.BadParameter(f"{value!r} is no time; write it like {example}")
