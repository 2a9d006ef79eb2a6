"""One incident: its events, and the fold that makes its state of them."""
