"""Ways to tell an audience, one file each: Slack, a webhook, mail, apprise, the console."""
