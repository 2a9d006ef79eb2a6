"""The revisions of the tables, one file each; `daemon.adapters.store.upgrading` runs them.

A file NNNN_what_it_does.py holds `revision = "NNNN"`, `down_revision` and `upgrade()`, which uses
`alembic.op` alone, for every database. It is written out: `schema` tells how the tables look today
only. Whatever it adds must be bearable to a replica of the version before, which goes on beside it:
new columns have a server's default, nothing is renamed or taken away that that version reads.
"""
