"""Fails if a public name is defined in two modules: who reads or greps one should find one.

Looks at what stands at the top of each module of daemon/ and recovery_actions/: classes,
functions, constants and type aliases. Names that begin with an underscore are a module's own.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def defined(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The public names that a module defines, and their lines."""
    for node in tree.body:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names = [node.name]
            case ast.Assign():
                names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case _:
                names = []
        yield from ((name, node.lineno) for name in names if not name.startswith("_"))


def main() -> int:
    """Print each name that has several homes; 1 if there are any."""
    homes: dict[str, list[str]] = defaultdict(list)
    for package in ("daemon", "recovery_actions"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.parent.name == "versions":
                continue  # alembic prescribes the names in its revisions
            for name, line in defined(ast.parse(path.read_text(encoding="utf-8"))):
                homes[name].append(f"{path.relative_to(ROOT)}:{line}")
    shared = {name: places for name, places in homes.items() if len(places) > 1}
    for name, places in sorted(shared.items()):
        print(f"{name} is defined {len(places)} times: {', '.join(places)}")
    if shared:
        print("Give each its own name, or begin it with an underscore if no other module needs it.")
    return 1 if shared else 0


if __name__ == "__main__":
    sys.exit(main())
