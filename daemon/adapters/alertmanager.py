"""Alertmanager's own API, to complete a notification that it cut short."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
from pydantic import ValidationError
from yarl import URL

from daemon.core.alertmanager import Alert
from daemon.core.values.outcome import Permanent, Temporary


class Alertmanager:
    """Implements `daemon.intake.truncated.AlertSource` over `/api/v2/alerts`, and
    `core.ports.metrics.Peer`.

    `timeout` in seconds.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, timeout: float) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._shown = URL(self._url).with_user(None)
        self._timeout = aiohttp.ClientTimeout(total=timeout)

    async def alerts(self, group_labels: Mapping[str, str], receiver: str) -> Sequence[Alert]:
        """The alerts of a group that fire now and go to that receiver. Raises Temporary or
        Permanent. `receiver` as a webhook names it: quoted as a regular expression already.
        """
        filters = [("filter", f"{name}={_quoted(value)}") for name, value in group_labels.items()]
        states = [("active", "true"), ("silenced", "false"), ("inhibited", "false")]
        params = [*filters, *states, ("receiver", receiver)]
        try:
            async with self._session.get(
                f"{self._url}/api/v2/alerts", params=params, timeout=self._timeout
            ) as answer:
                if answer.status >= 500:
                    raise Temporary(f"Alertmanager answered {answer.status}")
                if answer.status != 200:
                    raise Permanent(f"Alertmanager answered {answer.status}")
                return [_alert(item) for item in await answer.json()]
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _away(self._shown, error) from None
        except (ValidationError, ValueError, KeyError, TypeError):
            raise Permanent(f"the answer of {self._shown} is not Alertmanager's format") from None

    async def version(self) -> str:
        """Which version it runs. Raises Temporary or Permanent."""
        try:
            async with self._session.get(
                f"{self._url}/api/v2/status", timeout=self._timeout
            ) as answer:
                if answer.status != 200:
                    raise Temporary(f"Alertmanager answered {answer.status}")
                return str((await answer.json())["versionInfo"]["version"])
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _away(self._shown, error) from None
        except (ValueError, KeyError, TypeError):
            raise Permanent(f"the answer of {self._shown} is not Alertmanager's format") from None


def _away(shown: URL, error: Exception) -> Temporary | Permanent:
    if isinstance(error, aiohttp.ContentTypeError):
        return Permanent(f"the answer of {shown} is not JSON; is that an Alertmanager?")
    return Temporary(f"Alertmanager at {shown} cannot be reached ({type(error).__name__})")


def _quoted(value: str) -> str:
    """A string of Alertmanager's matchers: it knows these three escapes, and not those of JSON."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _alert(item: Mapping[str, Any]) -> Alert:
    # In this API a firing alert has the time at which it would end if it were not sent again.
    return Alert(
        status="firing",
        labels=item["labels"],
        annotations=item["annotations"],
        starts_at=item["startsAt"],
        generator_url=item.get("generatorURL", ""),
        fingerprint=item["fingerprint"],
    )
