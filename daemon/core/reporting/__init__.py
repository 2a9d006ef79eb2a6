"""What is told to people, worked out of an incident: timeline, chart, briefing, review, figures."""
