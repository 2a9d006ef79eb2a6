"""One entry of a rule's `depends_on`: another rule by its name, or incidents by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from daemon.core.rules.matchers import Matcher, parse_matcher, spell_matcher
from daemon.core.values.units import Frozen


class Upstream(Frozen):
    """What a rule depends on: the incidents of `rule`, or those whose labels `match`."""

    rule: str = ""
    match: tuple[Matcher, ...] = ()

    def covers(self, rule: str, labels: Mapping[str, str]) -> bool:
        """Whether an incident of that rule with these labels is meant."""
        if self.rule:
            return self.rule == rule
        return all(matcher.matches(labels) for matcher in self.match)


def _read(given: Any) -> Any:
    if isinstance(given, str):
        if any(mark in given for mark in "=!~"):
            return Upstream(match=(parse_matcher(given),))
        return Upstream(rule=given) if given.strip() else given
    if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        return Upstream(match=tuple(parse_matcher(one) for one in given))
    if isinstance(given, Upstream):
        return given
    raise ValueError(
        f"{given!r} is neither a rule's name nor matchers; write payments-success-rate, or "
        "'service=\"payments\"', or a list of matchers that must all hold"
    )


def spell_upstream(upstream: Upstream) -> str | list[str]:
    """The entry as it is written."""
    if upstream.rule:
        return upstream.rule
    spelled = [spell_matcher(matcher) for matcher in upstream.match]
    return spelled[0] if len(spelled) == 1 else spelled


UpstreamText = Annotated[
    Upstream,
    BeforeValidator(_read),
    PlainSerializer(spell_upstream),
    WithJsonSchema(
        {
            "description": "a rule's name, or a matcher of an incident's labels, or a list of such "
            'that must all hold: payments-success-rate, service="payments"',
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ],
        }
    ),
]
