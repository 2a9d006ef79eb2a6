"""The outside, behind the ports of `core.ports`: stores, Prometheus, Alertmanager, pagers, chat,
trackers. Only `app` knows them."""
