"""Changes that metrics tell of; what else tells of them is in `recovery_actions`."""
