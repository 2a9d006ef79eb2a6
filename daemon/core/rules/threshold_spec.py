"""The `threshold` of a rule: a level and a side, or several of them joined.

A leaf compares one number with its bounds; `all` and `any` join leaves, and each other. Directly
under `problem:` the bounds compare the problem's own `value`; inside `all` and `any` each leaf has
a `value` of its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from daemon.core.values.units import Frozen

Bound = Annotated[float, Field(allow_inf_nan=False)]
BOUNDS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "above": (operator.gt, "above"),
    "at_least": (operator.ge, "at least"),
    "below": (operator.lt, "below"),
    "at_most": (operator.le, "at most"),
    "equals": (operator.eq, "equal to"),
    "differs_from": (operator.ne, "other than"),
}
"""The bounds that a leaf can have: how a number is compared with them, and in words."""
MOST_LEAVES = 20
"""Each leaf is a query that every measurement asks."""
_LOWER, _UPPER, _ALONE = ("above", "at_least"), ("below", "at_most"), ("equals", "differs_from")
_LISTED = ", ".join(f"`{name}`" for name in BOUNDS)
_JOINTS = ("all", "any")


class Threshold(Frozen):
    """A condition on numbers: a leaf with one bound or two (a band: both must hold), or `all` or
    `any` of several conditions. `value`: the leaf's query; directly under the problem it is the
    problem's own."""

    value: str | None = None
    above: Bound | None = None
    at_least: Bound | None = None
    below: Bound | None = None
    at_most: Bound | None = None
    equals: Bound | None = None
    differs_from: Bound | None = None
    every: tuple[Threshold, ...] | None = Field(default=None, alias="all", min_length=1)
    either: tuple[Threshold, ...] | None = Field(default=None, alias="any", min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _condition(cls, written: object) -> object:
        if isinstance(written, dict | Threshold):
            return written
        raise ValueError(f"{written!r} is no condition; write it like {{above: 90}}")

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what is said: a bound that a later version adds changes no approval's content."""
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def parts(self) -> tuple[Threshold, ...]:
        """What is joined; empty for a leaf."""
        return self.every or self.either or ()

    @property
    def bounds(self) -> tuple[tuple[str, float], ...]:
        """The bounds of a leaf: (name, number) each."""
        given = ((name, getattr(self, name)) for name in BOUNDS)
        return tuple((name, number) for name, number in given if number is not None)

    def leaves(self) -> tuple[Threshold, ...]:
        """Every leaf, in the order in which they are written."""
        if not self.parts:
            return (self,)
        return tuple(leaf for part in self.parts for leaf in part.leaves())

    def describe(self) -> str:
        """A leaf's bounds for a sentence: "above 90", "above 5 and below 9"."""
        return " and ".join(bound_words(name, number) for name, number in self.bounds)


def bound_words(name: str, number: float) -> str:
    """One bound for a sentence, its number as exactly as it was written: "at least 1,000"."""
    return f"{BOUNDS[name][1]} {number:,.10g}"


RulePlace = tuple[str | int, ...]


def threshold_queries(
    threshold: Any, place: RulePlace = ("threshold",)
) -> Iterator[tuple[RulePlace, Any]]:
    """The queries of the leaves as written, each with its place under `problem`."""
    if not isinstance(threshold, dict):
        return
    if "value" in threshold:
        yield (*place, "value"), threshold["value"]
    for joint in _JOINTS:
        parts = threshold.get(joint)
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from threshold_queries(part, (*place, joint, index))


def wrong_threshold(
    problem: Mapping[str, Any], confirm: Mapping[str, Any], verify: Mapping[str, Any]
) -> Iterator[tuple[RulePlace, str]]:
    """What is wrong with a rule that has a threshold: (place in the rule, text with the mend).

    The mappings are as written, without keys that have no value.
    """
    threshold, place = problem["threshold"], ("problem", "threshold")
    yield from _misplaced(problem, confirm, verify)
    if not isinstance(threshold, dict):
        return  # the field itself tells
    joined = any(joint in threshold for joint in _JOINTS)
    if joined and "value" in problem:
        text = "each leaf of `all` and `any` has its own `value`; remove this one"
        yield ("problem", "value"), text
    if not joined and "value" in threshold:
        text = "write it as `problem.value`; a `value` in here belongs into `all` or `any`"
        yield (*place, "value"), text
    elif not joined and "value" not in problem:
        yield place, "needs `value:` beside it, the query whose number is compared"
    yield from _wrong_condition(threshold, place, root=True)
    leaves = len(list(threshold_queries(threshold)))
    if leaves > MOST_LEAVES:
        yield (
            place,
            f"has {leaves} leaves, each a query; {MOST_LEAVES} are the most: join in PromQL",
        )


def _misplaced(
    problem: Mapping[str, Any], confirm: Mapping[str, Any], verify: Mapping[str, Any]
) -> Iterator[tuple[RulePlace, str]]:
    """What belongs to the kinds that compare with a baseline."""
    if "bad" in problem:
        text = "`threshold` compares a `value`; remove `bad`, or remove `threshold`"
        yield ("problem", "bad"), text
    for key, why in (
        ("direction", "`threshold` says by itself which side is bad"),
        ("target", "`threshold` is compared with nothing else"),
    ):
        if key in problem:
            yield ("problem", key), f"{why}; remove `{key}`"
    for key in ("drop", "failing", "rise", "by"):
        if key in confirm:
            text = f"`{key}` is relative to the baseline, which `threshold` does not ask; remove it"
            yield ("problem", "confirm", key), text
    if "traffic" in confirm and "total" not in problem:
        place = ("problem", "confirm", "traffic")
        yield place, "needs `total:`, the query that counts the events"
    if "near_baseline" in verify:
        text = "with `threshold` it is well where the threshold is passed no more; remove it"
        yield ("verify", "near_baseline"), text


def _wrong_condition(
    condition: Any, place: RulePlace, *, root: bool
) -> Iterator[tuple[RulePlace, str]]:
    if not isinstance(condition, dict):
        return
    given = [name for name in condition if condition[name] is not None]
    joints = [name for name in given if name in _JOINTS]
    if not joints:
        yield from _wrong_leaf(condition, place, root=root)
        return
    beside = [name for name in given if name == "value" or name in BOUNDS]
    if len(joints) > 1:
        yield place, "has both `all` and `any`; put one of them into the other's list"
    elif beside:
        text = f"`{joints[0]}` stands alone; put `{beside[0]}` into an entry of its list"
        yield (*place, beside[0]), text
    for joint in joints:
        parts = condition[joint]
        for index, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from _wrong_condition(part, (*place, joint, index), root=False)


def _wrong_leaf(
    leaf: Mapping[str, Any], place: RulePlace, *, root: bool
) -> Iterator[tuple[RulePlace, str]]:
    if not root and leaf.get("value") is None:
        yield place, "needs `value:`, the query whose number is compared"
    bounds = [name for name in BOUNDS if leaf.get(name) is not None]
    alone = [name for name in bounds if name in _ALONE]
    lower, upper = ([name for name in bounds if name in side] for side in (_LOWER, _UPPER))
    if not bounds and leaf.keys() <= {"value", *BOUNDS}:  # else an unknown key is told
        yield place, f"needs a level: one of {_LISTED}"
    elif alone and len(bounds) > 1:
        other = next(name for name in bounds if name != alone[0])
        yield (*place, other), f"`{alone[0]}` stands alone; join the two by `all` or `any`"
    elif len(lower) > 1 or len(upper) > 1:
        first, second = lower if len(lower) > 1 else upper
        yield (*place, second), f"`{first}` and `{second}` are the same side; keep one of them"
    elif lower and upper:
        yield from _wrong_band(leaf, place, lower[0], upper[0])


def _wrong_band(
    leaf: Mapping[str, Any], place: RulePlace, lower: str, upper: str
) -> Iterator[tuple[RulePlace, str]]:
    least, most = leaf[lower], leaf[upper]
    if not all(isinstance(bound, int | float) for bound in (least, most)):
        return  # the fields themselves tell
    if least > most or (least == most and (lower, upper) != ("at_least", "at_most")):
        band = Threshold.model_validate({lower: least, upper: most}).describe()
        text = f"no number is {band}; for what is outside of a band join two leaves by `any`"
        yield (*place, upper), text


def comparison_holds(leaf: Threshold, number: float) -> bool:
    """Whether all bounds of a leaf hold for a number that is one."""
    return all(BOUNDS[name][0](number, bound) for name, bound in leaf.bounds)
