"""The dossier that gathers itself once recovery has ended, within a budget of queries and time."""
