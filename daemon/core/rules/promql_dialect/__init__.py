"""What a server of PromQL reads and what it refuses, by its kind and version.

`judging` is the way in. It reads a query's tokens itself (strings, regular expressions, syntax
that is not in every version), and leaves the grammar and the types to promql-parser.
"""
