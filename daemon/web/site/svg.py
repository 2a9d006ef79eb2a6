"""The elements of an SVG document that a chart is made of, as text.

Coordinates and sizes are user units; colours are names of the document's own style sheet.
"""

from __future__ import annotations

from html import escape
from typing import Literal

from daemon.core.values.units import printable


def line(
    x1: float, y1: float, x2: float, y2: float, colour: str, width: float, dashes: str = ""
) -> str:
    """A straight line; `dashes` as `stroke-dasharray` has it."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<line x1="{svg_number(x1)}" y1="{svg_number(y1)}" '
        f'x2="{svg_number(x2)}" y2="{svg_number(y2)}" '
        f'style="stroke:var(--{colour})" stroke-width="{width}"{dashed}/>\n'
    )


def rect(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1) -> str:
    """A filled rectangle."""
    return (
        f'<rect x="{svg_number(x)}" y="{svg_number(y)}" width="{svg_number(width)}" '
        f'height="{svg_number(height)}" style="fill:var(--{colour})" opacity="{opacity}"/>\n'
    )


def dot(x: float, y: float, radius: float, colour: str) -> str:
    """A filled circle around (x, y)."""
    return (
        f'<circle cx="{svg_number(x)}" cy="{svg_number(y)}" r="{svg_number(radius)}" '
        f'style="fill:var(--{colour})"/>\n'
    )


def text(
    x: float,
    y: float,
    content: str,
    size: float,
    colour: str = "text",
    anchor: Literal["start", "middle", "end"] = "start",
) -> str:
    """A line of text on the base line `y`, from `x` on, around it or up to it."""
    return (
        f'<text x="{svg_number(x)}" y="{svg_number(y)}" text-anchor="{anchor}" '
        f'font-size="{svg_number(size)}" style="fill:var(--{colour})">{safe(content)}</text>\n'
    )


def svg_number(value: float) -> str:
    """A coordinate, to the tenth of a unit."""
    return f"{value:.1f}"


def safe(content: str) -> str:
    """Text that stays text, without characters that XML does not know."""
    return escape(printable(content))
