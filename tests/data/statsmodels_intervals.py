# /// script
# dependencies = ["statsmodels==0.15.0", "numpy==2.4.6", "scipy==1.17.1", "pandas==3.1.1"]
# ///
"""Make statsmodels-intervals.csv: what statsmodels says of 99 % intervals of shares.

It is no dependency of the tests, for with all that it needs it takes 400 MB. To make the file
anew, in an environment of its own with the packages above:

    python tests/data/statsmodels_intervals.py

Each row is two counts of so many, `bad` of `total` and `base_bad` of `base_total`; the Wilson
score interval of the first share; and Newcombe's (method 10) of the difference of the two.
"""

from __future__ import annotations

import random
from importlib.metadata import version
from itertools import product
from pathlib import Path

from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

SEED = 20261129
RANDOM = 2000
EXTREMES = [
    (part * total, total) for total in (0.25, 1.0, 30.0, 1e6, 1e12) for part in (0.0, 0.5, 1.0)
]
FILE = Path(__file__).with_name("statsmodels-intervals.csv")
ALPHA = 0.01


def one(chance: random.Random) -> tuple[float, float]:
    """(bad, total): of any order of magnitude, whole or as `increase()` extrapolates."""
    total = 10 ** chance.uniform(-0.3, 7)
    bad = total * chance.choice([chance.random(), chance.random() ** 4, 1 - chance.random() ** 4])
    if chance.random() < 0.5:
        total = max(1, round(total))
        bad = min(total, round(bad))
    return float(f"{bad:.7g}"), max(float(f"{total:.7g}"), float(f"{bad:.7g}"))


def main() -> None:
    """Write the file."""
    chance = random.Random(SEED)  # noqa: S311 (a sample, no secret)
    pairs = [(one(chance), one(chance)) for _ in range(RANDOM)]
    packages = " ".join(f"{name} {version(name)}," for name in ("statsmodels", "numpy", "scipy"))
    lines = [
        f"# By statsmodels_intervals.py: {packages} seed {SEED}, alpha {ALPHA}",
        "bad,total,base_bad,base_total,low,high,difference_low,difference_high",
    ]
    for (bad, total), (base_bad, base_total) in [*pairs, *product(EXTREMES, EXTREMES)]:
        wilson = proportion_confint(bad, total, alpha=ALPHA, method="wilson")
        newcombe = confint_proportions_2indep(
            bad, total, base_bad, base_total, compare="diff", method="newcomb", alpha=ALPHA
        )
        counts = [repr(count) for count in (bad, total, base_bad, base_total)]
        lines.append(",".join([*counts, *(f"{bound:.15g}" for bound in (*wilson, *newcombe))]))
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
