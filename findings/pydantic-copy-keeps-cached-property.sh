#!/usr/bin/env bash
# pydantic 2.14.3: a copy with a changed field answers with the original's cached value.
#
# Behaviour: model_copy(update=...) also copies what functools.cached_property has kept in the
#   instance. If the property was read before, the copy goes on answering for the old fields; if
#   not, it is right. The stale copy equals a fresh instance and has its hash. deep=True does not
#   help. dataclasses.replace() does not do this. (A note in pydantic's reference mentions it.)
# Matters to: whoever keeps state in frozen models and steps on with model_copy: the result
#   depends on whether somebody, a log line for example, read the property before.
# Way out: build the copy anew (model_validate), or no cached_property on such models.
#
# Seen 2026-11-29:
#   pydantic 2.14.3
#   copied before the property was read: length 99
#   copied after it was read: end 99 length 10 deep 10
#   equal to a fresh one, whose length is 99 : True
#   dataclasses.replace after it was read: length 99
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --no-compile pydantic==2.14.3
"$dir/venv/bin/python" - <<'PY'
import dataclasses
from functools import cached_property

import pydantic
from pydantic import BaseModel, ConfigDict


class Window(BaseModel):
    model_config = ConfigDict(frozen=True)
    start: int
    end: int

    @cached_property
    def length(self) -> int:
        return self.end - self.start


@dataclasses.dataclass(frozen=True)
class Plain:
    start: int
    end: int

    @cached_property
    def length(self) -> int:
        return self.end - self.start


window, plain = Window(start=0, end=10), Plain(0, 10)
early = window.model_copy(update={"end": 99}).length
assert (window.length, plain.length) == (10, 10)
late = window.model_copy(update={"end": 99})
deep = window.model_copy(update={"end": 99}, deep=True)
fresh = Window(start=0, end=99)
same = late == fresh and hash(late) == hash(fresh)
print("pydantic", pydantic.VERSION)
print("copied before the property was read: length", early)
print("copied after it was read: end", late.end, "length", late.length, "deep", deep.length)
print("equal to a fresh one, whose length is", fresh.length, ":", same)
print("dataclasses.replace after it was read: length", dataclasses.replace(plain, end=99).length)
seen = early, late.end, late.length, deep.length, fresh.length, same
if seen != (99, 99, 10, 10, 99, True) or dataclasses.replace(plain, end=99).length != 99:
    raise SystemExit("CHANGED: the copy no longer keeps the old value")
PY
