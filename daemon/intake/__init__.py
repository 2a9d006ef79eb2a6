"""From the inbox to one open incident for each rule and group; what Alertmanager did not tell."""
