"""The short version of `make fuzz`: the same inputs in every run. What it found stays found."""

from __future__ import annotations

import pytest

from daemon.core.rules.matchers import Matcher, parse_matcher, spell_matcher
from tests.fuzz.run import fuzz, input_of, share_of
from tests.fuzz.targets import TARGETS, Target

INPUTS = 1500
SEED = 20261130


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_no_input_is_answered_as_it_must_not_be(target: Target) -> None:
    tally = fuzz(target, SEED, range(share_of(target, INPUTS)))
    assert not tally.findings, "\n".join(map(str, tally.findings))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_real_inputs_are_read(target: Target) -> None:
    """A corpus that is refused would try the first line of the readers alone."""
    for sent in target.corpus:
        if target.name not in {"outgoing", "promql"}:
            target.read(sent)


def test_an_input_is_known_by_its_seed_and_number() -> None:
    target = TARGETS[0]
    assert input_of(target, 7, 3) == input_of(target, 7, 3)
    assert len({input_of(target, seed, number) for seed in (1, 2) for number in range(50)}) > 80


def test_a_planted_fault_is_found() -> None:
    def careless(given: bytes) -> None:
        if given.count(b'"') > 40:
            raise KeyError("not looked for")

    target = Target("careless", 1, careless, TARGETS[0].corpus)
    finding = fuzz(target, SEED, range(200)).findings[0]
    assert "KeyError" in str(finding)
    assert f"SEED={SEED} ONLY=careless NUMBER={finding.number}" in str(finding)


@pytest.mark.parametrize("change", [b"\r\n", b"=", b" ", b"\x00", b"\xff", b"."])
def test_a_link_and_a_cookie_are_spelled_in_one_way(change: bytes) -> None:
    known = {target.name: target for target in TARGETS}
    for given in known["links"].corpus:
        known["links"].read(given + change)
        last = given[-1:]
        known["links"].read(given[:-1] + (b"B" if last == b"A" else b"A"))
    known["cookies"].read(known["cookies"].corpus[0] + change)


@pytest.mark.parametrize("value", ["\x10", "\t", "a\r\nb", '"\\n', "é"])
def test_a_matcher_is_written_as_it_is_read(value: str) -> None:
    matcher = Matcher(name="a", op="!=", value=value)
    assert parse_matcher(spell_matcher(matcher)) == matcher
