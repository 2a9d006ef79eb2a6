"""Each file of the product says at its top why it is there, for whoever opens it first; and what a
docstring says is raised is there, whatever it was called before."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

from tests.guides import TREE

_RAISES = re.compile(r"Raises?\s+([A-Z]\w+(?:(?:,? or|,? and|,)\s+[A-Z]\w+)*)")

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


def test_what_is_said_to_be_raised_is_there() -> None:
    trees = [_parsed(name) for name in FILES]
    there = {*dir(builtins), *(name for tree in trees for name in _named(tree))}
    said = {error for tree in trees for error in _raised(tree)}
    assert len(said) > 50
    assert sorted(said - there) == []


def _named(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name


def _raised(tree: ast.Module) -> Iterator[str]:
    """What its docstrings name after `Raises`, one or several: "Raises Temporary, Permanent"."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for names in _RAISES.findall(ast.get_docstring(node) or ""):
                yield from re.findall(r"[A-Z]\w+", names)


def _parsed(name: str) -> ast.Module:
    return ast.parse((TREE / name).read_text(encoding="utf-8"))
