"""What ids of ours end with."""

from __future__ import annotations

import hashlib

ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Letters and digits, none of which is taken for another one."""


def derived_letters(text: str, count: int) -> str:
    """So many of ID_LETTERS that a text stands for: the same each time it is looked at."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(ID_LETTERS[byte % len(ID_LETTERS)] for byte in digest[:count])
