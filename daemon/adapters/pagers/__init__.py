"""Ways to reach a person, one file each: pagers that keep state (PagerDuty, Opsgenie, Grafana
OnCall), a webhook, Slack, mail, apprise for the rest, the console."""
