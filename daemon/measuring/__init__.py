"""A rule's queries, asked of Prometheus: the problem in numbers, the proof of recovery, charts."""
