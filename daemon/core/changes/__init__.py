"""What went live, and which of it is to blame for an onset, if any."""
