"""The secrets of those who report to us, and whether a request has the right one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from daemon.config.settings import same_secret
from daemon.web.auth.secrets import bearer
from daemon.web.auth.signatures import pagerduty_signed, slack_signed
from daemon.web.errors import HttpProblem

TOKEN_HEADER = "X-Stopgap-Token"  # noqa: S105 - a header's name


@dataclass(frozen=True)
class Hooks:
    """The secret of each provider; without one its hook is not there.

    PagerDuty may have several, for the time in which one replaces another. Every check raises
    Problem: 404 if there is no secret, naming the setting, and 401 if the request lacks it.
    """

    pagerduty_secrets: tuple[str, ...] = ()
    slack_signing_secret: str | None = None
    grafana_oncall_secret: str | None = None
    opsgenie_secret: str | None = None

    def check_pagerduty(self, request: web.Request, body: bytes) -> None:
        """The signature of a V3 webhook."""
        if not self.pagerduty_secrets:
            raise _not_configured("pagerduty.webhook_secret")
        header = ",".join(request.headers.getall("X-PagerDuty-Signature", ()))
        if not pagerduty_signed(header, body, self.pagerduty_secrets):
            raise _refused(
                "X-PagerDuty-Signature is missing or does not fit: `pagerduty.webhook_secret` "
                "must be the secret that PagerDuty showed when the subscription was made"
            )

    def check_slack(self, request: web.Request, body: bytes, now: datetime) -> None:
        """The signature of an interaction, and its age."""
        if self.slack_signing_secret is None:
            raise _not_configured("slack.signing_secret")
        timestamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not slack_signed(timestamp, signature, body, self.slack_signing_secret, now):
            raise _refused(
                "X-Slack-Signature is missing, older than five minutes or does not fit: "
                "`slack.signing_secret` must be the app's signing secret, and this clock right"
            )

    def check_grafana_oncall(self, request: web.Request) -> None:
        """The secret of an outgoing webhook."""
        _check_token(request, self.grafana_oncall_secret, "grafana_oncall.webhook_secret")

    def check_opsgenie(self, request: web.Request) -> None:
        """The secret of a webhook integration."""
        _check_token(request, self.opsgenie_secret, "opsgenie.webhook_secret")


def _check_token(request: web.Request, secret: str | None, setting: str) -> None:
    if secret is None:
        raise _not_configured(setting)
    given = (bearer(request), request.headers.get(TOKEN_HEADER, "").strip())
    if not any(token and same_secret(token, secret) for token in given):
        raise _refused(
            f"send the header `{TOKEN_HEADER}: …` (or `Authorization: Bearer …`) with the secret "
            f"that `{setting}` names"
        )


def _not_configured(setting: str) -> HttpProblem:
    return HttpProblem(404, "Not configured", f"not configured: set `{setting}` in stopgap.yaml")


def _refused(text: str) -> HttpProblem:
    return HttpProblem(401, "Wrong credentials", text)
