"""Known faults of the pinned versions: `renew` asks pip-audit, which needs a network, and keeps the
answer; `check` holds the pins to what is kept, and needs none.

`check` fails if a pin has a fault that nobody has accepted. It never fails for the answer's age,
for a build must not break by the calendar: it says how old the answer is, and which pins it is
not about.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEPT = HERE / "advisories.json"
PINS = HERE / "constraints.txt"
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)")


def pins(text: str) -> dict[str, str]:
    """The pinned version of each package, by its normalized name."""
    return {_normal(name): version for name, version in _PIN.findall(text)}


def judged(
    kept: dict[str, Any], pinned: dict[str, str], today: date
) -> tuple[list[str], list[str]]:
    """What is wrong with the pins, and what else there is to say."""
    wrong = [
        f"{one['package']} {one['version']} has {one['id']}; fixed in "
        f"{', '.join(one['fixed_in']) or 'no version yet'}. Pin another, or say in "
        "deploy/advisories.json, under `accepted`, why it does not concern us"
        for one in kept["advisories"]
        if pinned.get(one["package"]) == one["version"] and one["id"] not in kept["accepted"]
    ]
    if kept["asked_on"] is None:
        return wrong, ["advisories: nobody has asked yet; `make audit`, where there is a network"]
    age = (today - date.fromisoformat(kept["asked_on"])).days
    unknown = sorted(name for name, pin in pinned.items() if kept["asked"].get(name) != pin)
    said = [f"advisories: of {kept['asked_on']}, {age} days ago; `make audit` renews them"]
    if unknown:
        said.append(f"advisories: not asked about these pins: {', '.join(unknown)}")
    return wrong, said


def renewed(answer: dict[str, Any], accepted: dict[str, str], today: date) -> dict[str, Any]:
    """What is kept of pip-audit's answer. Raises ValueError if it could not look at a package: it
    calls that no fault, and ends well."""
    skipped = [one["name"] for one in answer["dependencies"] if "skip_reason" in one]
    if skipped:
        raise ValueError(
            f"pip-audit knows nothing of {len(skipped)} packages ({', '.join(skipped[:5])}, …); "
            "does this network reach its database?"
        )
    found = [
        {
            "package": _normal(one["name"]),
            "version": one["version"],
            "id": fault["id"],
            "aliases": sorted(fault["aliases"]),
            "fixed_in": fault["fix_versions"],
        }
        for one in answer["dependencies"]
        for fault in one["vulns"]
    ]
    return {
        "asked_on": today.isoformat(),
        "asked": {_normal(one["name"]): one["version"] for one in answer["dependencies"]},
        "advisories": sorted(found, key=lambda fault: (fault["package"], fault["id"])),
        "accepted": accepted,
    }


def ask() -> dict[str, Any]:
    """pip-audit's answer about the pins. Raises ValueError if there is none."""
    audit = Path(sys.executable).with_name("pip-audit")
    options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(  # noqa: S603 - our own tool and our own file
        [str(audit), "-r", str(PINS), *options], capture_output=True, text=True, check=False
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise ValueError(f"pip-audit gave no answer: {done.stderr.strip()[-300:]}") from None
    return dict(answer)


def main(wish: str) -> int:
    """`check` or `renew`; 1 if something is wrong."""
    kept, today = json.loads(KEPT.read_text(encoding="utf-8")), datetime.now(UTC).date()
    if wish == "renew":
        try:
            kept = renewed(ask(), kept["accepted"], today)
        except ValueError as error:
            sys.stderr.write(f"advisories: {error}; what was kept stays\n")
            return 1
        KEPT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    wrong, said = judged(kept, pins(PINS.read_text(encoding="utf-8")), today)
    sys.stdout.write("".join(f"{line}\n" for line in said))
    sys.stderr.write("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "check"))
