"""Pure: what `init` proposes of Prometheus's alerts, and what `doctor` makes of what it found."""
