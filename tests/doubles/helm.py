"""A program that behaves like `helm history` and `helm rollback`; its releases are in a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

_PROGRAM = """#!{python} -S
import json, os, sys
state_file = {state!r}
state = json.load(open(state_file))
argv = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps(argv) + "\\n")
def flag(name):
    return argv[argv.index(name) + 1] if name in argv else ""
def keep():
    # In one go: a test that looks meanwhile sees the old or the new, never half of it.
    with open(state_file + ".new", "w") as new:
        json.dump(state, new)
    os.replace(state_file + ".new", state_file)
def die(text):
    sys.stderr.write("Error: " + text + "\\n")
    sys.exit(1)
if state.get("broken"):
    die(state["broken"])
key = flag("--namespace") + "/" + argv[1]
if key not in state["releases"]:
    die("release: not found")
entries = state["releases"][key]
if argv[0] == "history":
    print(json.dumps(entries[-int(flag("--max")):]))
elif argv[0] == "rollback":
    number, newest = int(argv[2]), entries[-1]
    if number not in [e["revision"] for e in entries]:
        die("release has no %d version" % number)
    fails, hangs = state.get("fails"), state.get("hangs")
    copied = dict([e for e in entries if e["revision"] == number][0])
    copied["revision"] = newest["revision"] + 1
    copied["updated"] = "2025-03-09T14:%02d:00.123456789Z" % copied["revision"]
    copied["description"] = "Rollback to %d" % number
    copied["status"] = "pending-rollback"
    entries.append(copied)
    if hangs:
        keep()
        import time
        time.sleep(30)
    if fails:
        copied["status"] = "failed"
        copied["description"] = 'Release "%s" failed: %s' % (argv[1], fails)
    else:
        for entry in entries[:-1]:
            if entry["status"] == "deployed":
                entry["status"] = "superseded"
        copied["status"] = "deployed"
    if not fails and state.get("races"):
        number = copied["revision"] + 1
        entries.append(dict(copied, revision=number, description="Upgrade complete"))
    keep()
    if fails:
        die(fails)
    print("Rollback was a success! Happy Helming!")
else:
    die("unknown command " + argv[0])
"""


class Helm:
    """The program, and the releases that it knows."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "helm"
        self.program = str(self.path)
        self._state, self._log = folder / "helm.json", folder / "helm.log"
        self._state.write_text(json.dumps({"releases": {}}))
        self._log.touch()
        source = _PROGRAM.format(python=sys.executable, state=str(self._state), log=str(self._log))
        self.path.write_text(source)
        self.path.chmod(0o755)

    def add(self, key: str, *revisions: tuple[str, str]) -> None:
        """A release (`prod/shop`) by the status and description of each revision."""
        entries = [
            {
                "revision": number,
                "updated": f"2025-03-09T13:{number:02}:00.123456789Z",
                "status": status,
                "chart": f"shop-1.{number}.0",
                "app_version": "",
                "description": description,
            }
            for number, (status, description) in enumerate(revisions, 1)
        ]
        self.change(lambda state: state["releases"].update({key: entries}))

    def change(self, change: Any) -> None:
        """Change the state by a function."""
        state = json.loads(self._state.read_text())
        change(state)
        self._state.write_text(json.dumps(state))

    def set(self, **what: Any) -> None:
        """`fails`, `hangs`, `races`, `broken`."""
        self.change(lambda state: state.update(what))

    def uninstall(self) -> None:
        """The program is gone."""
        self.path.unlink()

    def entries(self, key: str = "prod/shop") -> list[dict[str, Any]]:
        """The revisions of a release."""
        found: list[dict[str, Any]] = json.loads(self._state.read_text())["releases"][key]
        return found

    @property
    def calls(self) -> list[list[str]]:
        """Every call's arguments."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]
