"""How values stand in the columns, whichever database it is.

Times are ISO-8601 text in UTC with microseconds: text of one width and zone sorts as time does,
reads well in any tool, and comes back exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Dialect, Integer, Text, TypeDecorator

from daemon.core.incident.alert_routes import Routes
from daemon.core.incident.outcome_facts import OutcomeFacts

_ROUTES: TypeAdapter[Routes] = TypeAdapter(Routes)

PLAIN_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared and sorted by its code points, in any database."""
COUNTER = BigInteger().with_variant(Integer, "sqlite")
"""A number that counts up as long as the store lives; SQLite's INTEGER has 64 bits, too."""


def to_stamp(moment: datetime) -> str:
    """The moment as it is stored, and as it goes into an entry's digest."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


class MomentText(TypeDecorator[datetime]):
    """An aware datetime, kept as the text that `to_stamp` makes."""

    impl = PLAIN_TEXT
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """On the way in."""
        return None if value is None else to_stamp(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """On the way out."""
        return None if value is None else datetime.fromisoformat(value)


class LabelsText(TypeDecorator[Mapping[str, str]]):
    """Label names and values, kept as JSON text."""

    impl = PLAIN_TEXT
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> str:
        """On the way in."""
        return json.dumps(dict(value or {}), ensure_ascii=False, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Mapping[str, str]:
        """On the way out."""
        return dict(json.loads(value or "{}"))


class OutcomeText(TypeDecorator[OutcomeFacts]):
    """What came of an incident, kept as JSON text; NULL where that is not known."""

    impl = PLAIN_TEXT
    cache_ok = True

    def process_bind_param(self, value: OutcomeFacts | None, dialect: Dialect) -> str | None:
        """On the way in."""
        return None if value is None else value.model_dump_json()

    def process_result_value(self, value: str | None, dialect: Dialect) -> OutcomeFacts | None:
        """On the way out."""
        return None if value is None else OutcomeFacts.model_validate_json(value)


class RoutesText(TypeDecorator[Routes]):
    """Whose alerts come to an incident, kept as JSON text; empty text for none."""

    impl = PLAIN_TEXT
    cache_ok = True

    def process_bind_param(self, value: Routes | None, dialect: Dialect) -> str:
        """On the way in."""
        return _ROUTES.dump_json(value).decode() if value else ""

    def process_result_value(self, value: str | None, dialect: Dialect) -> Routes:
        """On the way out."""
        return _ROUTES.validate_json(value) if value else ()
