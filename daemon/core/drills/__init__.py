"""Drills: what is played (`scenario`), when by the calendar (`calendar`), for whom
(`participants`), and how it went (`score`, `report`)."""
