"""Calling people: what is queued is delivered or failed over, storms are one page, and a watchdog
looks after all of it."""
