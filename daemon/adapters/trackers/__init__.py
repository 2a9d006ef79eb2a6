"""Issue trackers: `daemon.core.ports.trackers.Tracker`, each by its own REST API."""
