"""What the product is made of: known faults of the pins, and the bill of materials."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from deploy import advisories, sbom

TREE = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 30)
FAULT = {
    "package": "leftpad",
    "version": "1.0",
    "id": "X-1",
    "aliases": [],
    "fixed_in": ["1.1"],
}


def kept(**more: Any) -> dict[str, Any]:
    """An answer of ten days ago."""
    given = {"asked_on": "2026-11-20", "asked": {"leftpad": "1.0"}, "advisories": [FAULT]}
    return {**given, "accepted": {}, **more}


def test_a_pin_with_a_known_fault_is_told_with_its_mend() -> None:
    wrong, said = advisories.judged(kept(), {"leftpad": "1.0"}, TODAY)
    assert len(wrong) == 1
    assert "leftpad 1.0 has X-1; fixed in 1.1" in wrong[0]
    assert said == ["advisories: of 2026-11-20, 10 days ago; `make audit` renews them"]


def test_another_version_or_a_reason_makes_it_good() -> None:
    accepted = kept(accepted={"X-1": "not called"})
    assert advisories.judged(accepted, {"leftpad": "1.0"}, TODAY)[0] == []
    wrong, said = advisories.judged(kept(), {"leftpad": "1.1"}, TODAY)
    assert wrong == []
    assert "not asked about these pins: leftpad" in said[1]


def test_age_fails_nothing_and_is_told() -> None:
    old = kept(asked_on="2020-01-01", advisories=[])
    wrong, said = advisories.judged(old, {"leftpad": "1.0"}, TODAY)
    assert wrong == []
    assert "2525 days ago" in said[0]
    wrong, said = advisories.judged(kept(asked_on=None, advisories=[]), {}, TODAY)
    assert (wrong, "nobody has asked yet" in said[0]) == ([], True)


def test_an_answer_about_nothing_is_no_answer() -> None:
    """pip-audit ends well, and finds no fault, where it could ask about no package."""
    answer = {"dependencies": [{"name": "leftpad", "skip_reason": "not found"}]}
    with pytest.raises(ValueError, match="knows nothing of 1 packages"):
        advisories.renewed(answer, {}, TODAY)


def test_what_is_kept_of_an_answer() -> None:
    fault = {"id": "X-1", "fix_versions": ["1.1"], "aliases": ["B", "A"], "description": "long"}
    answer = {"dependencies": [{"name": "Left_Pad", "version": "1.0", "vulns": [fault]}]}
    assert advisories.renewed(answer, {"Y": "why"}, TODAY) == {
        "asked_on": "2026-11-30",
        "asked": {"left-pad": "1.0"},
        "advisories": [{**FAULT, "package": "left-pad", "aliases": ["A", "B"]}],
        "accepted": {"Y": "why"},
    }


def test_every_pin_is_looked_at_and_none_has_a_fault() -> None:
    pinned = advisories.pins(advisories.PINS.read_text(encoding="utf-8"))
    lines = re.findall(r"^[^#\s].*$", advisories.PINS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(pinned) == len(lines) > 100
    stored = json.loads(advisories.KEPT.read_text(encoding="utf-8"))
    assert advisories.judged(stored, pinned, TODAY)[0] == []


def test_the_bill_has_what_is_shipped_and_no_tool() -> None:
    names = sbom.shipped("stopgap", sbom.EXTRAS)
    assert {"stopgap", "aiohttp", "psycopg", "opentelemetry-sdk", "mcp", "yarl", "urllib3"} <= names
    assert names.isdisjoint({"pytest", "ruff", "mypy", "hypothesis", "pip-audit", "cyclonedx-bom"})
    document = {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [
            {"name": "yarl", "bom-ref": "yarl==1"},
            {"name": "pytest", "bom-ref": "pytest==1"},
            {"name": "aiohttp", "bom-ref": "aiohttp==1"},
        ],
        "dependencies": [
            {"ref": "root", "dependsOn": ["pytest==1", "aiohttp==1"]},
            {"ref": "pytest==1", "dependsOn": []},
            {"ref": "aiohttp==1", "dependsOn": ["yarl==1"]},
        ],
    }
    found = sbom.reduced(document, names)
    assert [one["name"] for one in found["components"]] == ["aiohttp", "yarl"]
    assert found["dependencies"] == [
        {"ref": "aiohttp==1", "dependsOn": ["yarl==1"]},
        {"ref": "root", "dependsOn": ["aiohttp==1"]},
    ]


def test_each_direct_dependency_says_in_the_threat_model_why_it_is_there() -> None:
    text = (TREE / "pyproject.toml").read_text(encoding="utf-8")
    rest = text.partition("dependencies = [")[2]
    listed = re.findall(r'^  "([A-Za-z0-9_.-]+)', rest, re.MULTILINE)
    direct = listed[: listed.index("yarl") + 1]
    model = (TREE / "deploy/guides/threat-model.md").read_text(encoding="utf-8")
    assert [name for name in direct if f"`{name}`" not in model] == []
