"""Each file of the product says at its top why it is there, for whoever opens it first."""

from __future__ import annotations

import ast

from tests.guides import TREE

FILES = sorted(
    str(path.relative_to(TREE))
    for room in ("daemon", "recovery_actions", "deploy")
    for path in (TREE / room).rglob("*.py")
)


def test_each_file_says_why_it_is_there() -> None:
    assert len(FILES) > 400
    silent = [name for name in FILES if not ast.get_docstring(_parsed(name))]
    assert silent == []


def test_no_two_files_say_the_same() -> None:
    said = [ast.get_docstring(_parsed(name)) for name in FILES]
    assert len(set(said)) == len(said)


def _parsed(name: str) -> ast.Module:
    return ast.parse((TREE / name).read_text(encoding="utf-8"))
