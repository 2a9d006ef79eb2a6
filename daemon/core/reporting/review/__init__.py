"""The incident as a document, complete without anybody typing, and richer where people did.

`model` gathers what the journal tells, `sections` says it in plain blocks (`document`), and
`markdown` and `html` are two ways to set these. Text that others wrote (labels, annotations, notes)
is made harmless by those two, and nowhere else.
"""
