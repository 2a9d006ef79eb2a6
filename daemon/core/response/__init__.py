"""What people do and owe in an incident: calls, roles, commands, updates, milestones, endings."""
