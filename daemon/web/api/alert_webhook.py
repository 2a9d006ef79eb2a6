"""What other systems tell: Alertmanager its alerts, and whoever listens outside what is said."""

from __future__ import annotations

from aiohttp import web
from pydantic import Field

from daemon.core.alertmanager import Delivery, NotADelivery
from daemon.core.incident.events import METRICS
from daemon.core.response.command import TEXT_LENGTH, NotPossible
from daemon.core.response.commands import ReportSentiment
from daemon.core.values.units import Frozen
from daemon.web.api.operation import ApiOperation, Call
from daemon.web.context import WebContext
from daemon.web.deliveries import ALERTS, ALERTS_MISSPELT, UNTAKEN, UNTAKEN_WHY
from daemon.web.errors import HttpProblem

FAILED_BEFORE = web.RequestKey("failed", Exception)
"""Where a request keeps why its delivery was not taken, if that was tried before it came here."""
_TAG = "webhooks"
_REPORTED = "sentiment"
"""The actor of what another system heard; never a name that it gives itself."""


class Sentiment(Frozen):
    """What the public says, as another system heard it, and of what.

    `value` is the number behind it, in the source's own unit.
    """

    labels: dict[str, str] = Field(min_length=1)
    text: str = Field(pattern=r"\S", max_length=TEXT_LENGTH)
    source: str = Field(pattern=r"\S", max_length=100)
    value: float | None = Field(default=None, allow_inf_nan=False)


class Stored(Frozen):
    """How many alerts were read. `stored` is false if this content was stored already."""

    stored: bool
    alerts: int


class SentimentTaken(Frozen):
    """The open incidents that it went to."""

    incidents: tuple[str, ...]


class Webhooks:
    """The rows; the webhook token is their credential."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def operations(self) -> list[ApiOperation]:
        """The rows of the table."""
        return [
            ApiOperation(
                "POST",
                ALERTS,
                self.alerts,
                "webhook",
                _TAG,
                errors=(413,),
                sends=Delivery,
                also=ALERTS_MISSPELT,
            ),
            ApiOperation(
                "POST",
                "/api/v1/sentiment",
                self.sentiment,
                "webhook",
                _TAG,
                errors=(409,),
                scope="sentiment",
                example={
                    "labels": {"service": "checkout"},
                    "text": "many say that they cannot pay",
                    "source": "support",
                    "value": 40,
                },
            ),
        ]

    async def alerts(self, call: Call[None, None, bytes]) -> Stored:
        """Take a notification of Alertmanager's webhook, format version 4, or of Grafana's, 1.

        200 once it is on disk, and not before; 503 if it cannot be, and it must be sent again.
        """
        failed = call.request.get(FAILED_BEFORE)
        try:
            if failed is not None:
                raise failed
            delivery, new = await self._context.intake.receive(call.sent)
        except NotADelivery as error:
            call.request[UNTAKEN], call.request[UNTAKEN_WHY] = "invalid", str(error)
            raise HttpProblem(400, "Not an Alertmanager webhook", str(error)) from None
        return Stored(stored=new, alerts=len(delivery.alerts))

    async def sentiment(self, call: Call[None, None, Sentiment]) -> SentimentTaken:
        """Report what the public says; it goes to all open incidents that it fits, and to
        no drill."""
        given, repository = call.sent, self._context.repository
        if given.source == METRICS or given.source in self._context.roster().people:
            text = f"source: {given.source!r} is taken by the daemon's own reports or a person"
            raise HttpProblem(400, "Bad request", f"{text}; name the system that reports")
        command = ReportSentiment(given.text, given.value, source=given.source)
        taken = []
        for head in await repository.journal.open_heads():
            incident = await repository.load(head.incident)
            if incident.drill is not None or not incident.concerned_by(given.labels):
                continue
            try:
                await self._context.carry_out(head.incident, command, "", "webhook", by=_REPORTED)
            except NotPossible:
                continue  # it was closed meanwhile
            taken.append(head.incident)
        return SentimentTaken(incidents=tuple(taken))
