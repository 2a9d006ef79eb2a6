"""Checkout, release v2: a discount for the members of the loyalty club.

The bug is real, and of a common kind: it was tested with the customers of the test database.
The club is older than its points, so the points of a member who joined before them are null.
"""

from collections.abc import Mapping
from typing import Any

Cart = dict[str, Any]
POINTS_PER_PERCENT = 100
HIGHEST_DISCOUNT = 15


def total_cents(cart: Cart, features: Mapping[str, bool]) -> int:
    """What the customer pays, in cents, less the discount of a club member."""
    full = sum(line["price_cents"] * line["quantity"] for line in cart["lines"])
    member = cart["customer"].get("loyalty")
    if member is None or not features.get("loyalty", True):
        return full
    return full * (100 - discount_percent(member["points"])) // 100


def discount_percent(points: int) -> int:
    """One percent for every hundred points, up to the highest discount."""
    return min(points // POINTS_PER_PERCENT, HIGHEST_DISCOUNT)
