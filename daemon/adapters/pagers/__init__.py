"""Ways to reach a person, one file each: a webhook, the console, and apprise for the rest."""
