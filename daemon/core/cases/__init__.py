"""Written cases of rules: what is given, what must come of it, and whether it did.

`rule_case` is the format, `notation` promtool's way to write a series, `curves` and `given_answers`
make the answers of a Prometheus of it, `comparison` holds an incident against what was expected.
"""
