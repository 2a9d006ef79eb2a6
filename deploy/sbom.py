"""The product's software bill of materials, as CycloneDX: its own dependencies with all extras that
users install, without the tools of its developers. The same environment gives the same file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

EXTRAS = ("apprise", "kubernetes", "mcp", "otel", "postgresql")
TREE = Path(__file__).resolve().parents[1]


def shipped(package: str, extras: tuple[str, ...]) -> set[str]:
    """The normalized names of all that a package needs here, itself among them."""
    found: set[tuple[str, str]] = set()
    waiting = [(package, extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (_normal(name), extra) in found:
            continue
        try:
            needs = distribution(name).requires or []
        except PackageNotFoundError:
            continue  # for another platform
        found.add((_normal(name), extra))
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                waiting += [(need.name, more) for more in ("", *need.extras)]
    return {name for name, _ in found}


def reduced(document: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The document with the components of these names alone, in order, and what they depend on."""
    own = document["metadata"]["component"]["bom-ref"]
    left = [one for one in document["components"] if _normal(one["name"]) in names]
    refs = {own, *(one["bom-ref"] for one in left)}
    document["components"] = sorted(left, key=lambda one: (_normal(one["name"]), one["bom-ref"]))
    document["dependencies"] = sorted(
        (
            {**one, "dependsOn": sorted(refs.intersection(one.get("dependsOn", ())))}
            for one in document["dependencies"]
            if one["ref"] in refs
        ),
        key=lambda one: one["ref"],
    )
    return document


def main(path: str) -> int:
    """Write it to that file."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--output-reproducible", "--pyproject", str(TREE / "pyproject.toml")]
    made = subprocess.run(  # noqa: S603 - our own tool and our own file
        [str(tool), "environment", *options, sys.executable],
        capture_output=True,
        text=True,
        check=True,
    )
    names = shipped("stopgap", EXTRAS) - {"stopgap"}
    document = reduced(json.loads(made.stdout), names)
    Path(path).write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {len(document['components'])} packages\n")
    return 0


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
