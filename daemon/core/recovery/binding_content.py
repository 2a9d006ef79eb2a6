"""What an approval of a step is bound to: change a character of that, and the approval is void.

It is everything that decides when the step runs, what it does, and what counts as recovery. A new
version of this program voids nothing by that: what it has added counts once it says something.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from daemon.core.rules.rule import ProblemSpec, Rule, StepSpec
from daemon.core.values.units import Frozen


def content_hash(rule: Rule, step: StepSpec) -> str:
    """What an approval of that step under this rule is bound to; hex SHA-256 of
    `binding_content`."""
    return _hashed(binding_content(rule, step))


def accepted_hashes(rule: Rule, step: StepSpec) -> frozenset[str]:
    """Every content under which an approval holds: today's, and what an earlier version of this
    program, to which `mode` was bound too, would have made of it."""
    content = binding_content(rule, step)
    return frozenset({_hashed(content), _hashed({**content, "mode": rule.mode})})


def binding_content(rule: Rule, step: StepSpec) -> dict[str, Any]:
    """The content as JSON. `mode` is none of it: it caps the steps, and whoever approves one allows
    it to run by itself whenever the mode lets it."""
    content = _bound(rule, {"rule", "match", "group_by", "domain", "changes"})
    content["problem"] = _bound(
        rule.problem, {"symptom", "bad", "total", "value", "direction", "windows", "baseline"}
    )
    content["problem"]["confirm"] = _bound(rule.problem.confirm, {"drop", "rise", "by", "traffic"})
    content["suspects"] = _bound(rule.suspects, {"revisions", "siblings"})
    content["verify"] = _bound(rule.verify, {"settle", "hold", "near_baseline", "traffic", "watch"})
    content["step"] = _bound(step, {"action", "params", "when", "approval", "within"})
    return content


_UNBOUND: Mapping[type[Frozen], frozenset[str]] = {
    Rule: frozenset(
        {"description", "team", "mode", "problem", "suspects", "recover", "verify", "diagnosis"}
    ),
    ProblemSpec: frozenset({"confirm", "severity", "impact", "sentiment"}),
}
"""What no approval is bound to, and what `binding_content` puts together by itself."""


def _bound(model: Frozen, always: Collection[str]) -> dict[str, Any]:
    """The fields of a model that approvals are bound to: those of `always`, and of others, which
    a later version may have added, those that say something. So a new version voids nothing."""
    apart = _UNBOUND.get(type(model), frozenset())
    chosen = {
        name
        for name, info in type(model).model_fields.items()
        if name in always
        or (
            name not in apart
            and getattr(model, name) != info.get_default(call_default_factory=True)
        )
    }
    return model.model_dump(mode="json", by_alias=True, include=chosen)


def _hashed(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
