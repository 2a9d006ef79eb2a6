"""Everything that is served: webhooks, the JSON API, the pages, signed links, probes."""
