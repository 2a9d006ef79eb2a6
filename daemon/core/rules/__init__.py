"""Rules, as written and as checked: matchers, queries, problems, dependencies."""
