"""The proof as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.onboarding.proving.prove import Verdicts

HEAD = ("", "alerts", "measured", "counted", "tried", "confirmed", "quiet")


def table(verdicts: Sequence[Verdicts], view: Callable[[Verdicts], str]) -> str:
    """A line for each `view` of an alert, and one for all: how many alerts, how their rules
    measure, how many could be tried, in how many worlds the rule confirmed where the alert fires,
    and did not where it is quiet."""
    names = dict.fromkeys(map(view, verdicts))
    of = (_row(name, [v for v in verdicts if view(v) == name]) for name in names)
    rows = [HEAD, *of, _row("all", verdicts)]
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        f"{first:{width}}" + "".join(f"{cell:>11}" for cell in cells) for first, *cells in rows
    )


def _row(name: str, of: Sequence[Verdicts]) -> tuple[str, ...]:
    counted = sum(v.case.draft.kind in {"expression", "alerts"} for v in of)
    tried = [v for v in of if not v.trouble]
    fires = [found for v in tried for _, found in v.confirmed]
    quiet = [found for v in tried for _, found in v.quiet]
    right = sum(found.verdict == "confirmed" for found in fires)
    still = sum(found.verdict != "confirmed" for found in quiet)
    figures = (len(of), len(of) - counted, counted, len(tried))
    return (name, *map(str, figures), f"{right}/{len(fires)}", f"{still}/{len(quiet)}")
