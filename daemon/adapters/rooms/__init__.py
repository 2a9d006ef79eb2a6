"""Where people meet over an incident: its room in a chat, its call."""
