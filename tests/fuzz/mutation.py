"""Changes real inputs by a seed: flipped and lost bytes, parts doubled, swapped and borrowed from
others, numbers and nesting beyond reason, and words that the format knows."""

from __future__ import annotations

import random
from collections.abc import Sequence

LONGEST = 20_000
"""Bytes of an input; what is larger is refused by the front door."""

_NASTY = (
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",  # half of a surrogate pair, in UTF-8
    "\u202e\u2028\u200d\ufeff".encode(),
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"-9223372036854775809",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59.999999999+14:00",
    b"2026-11-29T24:00:00-99:99",
    b"null",
    b"true",
    b'""',
    b"{}",
    b"[]",
    b"[" * 3000,
    b'{"a":' * 1500,
    b"(" * 500,
    b"\r\n",
    b"%00%ff",
    b"../..",
    b"__proto__",
    b"${x}",
    b"{{ x }}",
    b"*",
    b"&a [*a, *a]",
)


def mutated(corpus: Sequence[bytes], words: Sequence[bytes], source: random.Random) -> bytes:
    """One of the corpus, changed once to six times; now and then as it is."""
    found = source.choice(corpus)
    for _ in range(source.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        found = _changed(found, corpus, words, source)[:LONGEST]
    return found


def _changed(
    text: bytes, corpus: Sequence[bytes], words: Sequence[bytes], source: random.Random
) -> bytes:
    at = source.randint(0, len(text))
    end = min(len(text), at + source.choice((1, 1, 2, 8, 64, 400)))
    kind = source.randrange(9)
    if kind == 0 and text:
        at = source.randrange(len(text))
        return text[:at] + bytes([text[at] ^ 1 << source.randrange(8)]) + text[at + 1 :]
    if kind == 1:
        return text[:at] + text[end:]
    if kind == 2:
        return text[:at] + text[at:end] * source.choice((2, 2, 3, 50)) + text[end:]
    if kind == 3:
        return text[:at] + source.choice(_NASTY) + text[end:]
    if kind in (4, 5) and words:
        return text[:at] + source.choice(words) + text[at if kind == 4 else end :]
    if kind == 6:
        other = source.choice(corpus)
        begin = source.randint(0, len(other))
        return text[:at] + other[begin : begin + source.choice((4, 40, 400))] + text[end:]
    if kind == 7:
        return text[:at]
    return text[:at] + source.randbytes(source.choice((1, 2, 4, 16))) + text[end:]
