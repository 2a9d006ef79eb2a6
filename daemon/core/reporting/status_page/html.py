"""The status page as one file of HTML: nothing is fetched, nothing runs, all text is escaped.

Nor does it load itself again: that takes the page away from whoever has it read to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from html import escape

from daemon.core.reporting.status_page.model import StatusEntry, StatusPage
from daemon.core.values.units import printable

_STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1b1b1f; --quiet: #5a5a66; --line: #d9d9e0;
  --ok: #1a6b35; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --back: #1c1c21; --text: #e6e6ec; --quiet: #a6a6b2;
  --line: #3f3f49; --ok: #86d39e; --bad: #ff9d94; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 44rem; padding: 1.5rem 1rem 3rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 1rem; } h2 { font-size: 1.15rem; }
.now { border: 2px solid currentColor; border-radius: 0.5rem; padding: 0.75rem 1rem; margin: 0;
  font-size: 1.15rem; font-weight: 600; }
.ok { color: var(--ok); } .problem { color: var(--bad); }
ul { list-style: none; padding: 0; } li, article { border-top: 1px solid var(--line);
  padding: 0.6rem 0; }
li { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; }
h3 { font-size: 1rem; margin: 0.25rem 0; } p { margin: 0.35rem 0; }
.said { white-space: pre-line; } .quiet, time { color: var(--quiet); font-size: 0.9rem; }
"""


def status_html(page: StatusPage) -> str:
    """The page as one file."""
    return "".join(f"{line}\n" for line in _lines(page))


def _lines(page: StatusPage) -> Iterator[str]:
    title = escape(printable(page.title))
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield (
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    )
    yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>"
    yield f"<h1>{title}</h1>"
    said = "There is no known problem." if page.state == "ok" else "There is a problem."
    yield f'<p class="now {page.state}" role="status">{said}</p>'
    yield f'<p class="quiet">As of {_time(page.written_at)} UTC</p>'
    if page.components:
        yield '<h2 id="components">Parts of the service</h2>\n<ul aria-labelledby="components">'
        for one in page.components:
            word = "no known problem" if one.state == "ok" else "problem"
            name = escape(printable(one.name))
            yield f'<li><span>{name}</span> <strong class="{one.state}">{word}</strong></li>'
        yield "</ul>"
    yield from _part("Now", [one for one in page.entries if one.ended is None])
    yield from _part("Before", [one for one in page.entries if one.ended is not None])
    minutes = round(page.written_every / 60)
    yield (
        f'</main>\n<footer><p class="quiet">This page is written every {minutes} minutes, and at '
        "each change. If the time at its top is older than that, it may be out of date; load it "
        "again to be sure. All times are UTC.</p></footer>\n</body>\n</html>"
    )


def _part(title: str, entries: list[StatusEntry]) -> Iterator[str]:
    if not entries:
        return
    yield f"<h2>{title}</h2>"
    for one in entries:
        names = ", ".join(escape(printable(name)) for name in one.components)
        told = f"{_time(one.began)} to {_time(one.ended)}" if one.ended else "It goes on."
        yield f'<article>\n<h3>{names or "Problem"}</h3>\n<p class="quiet">{told}</p>'
        for update in one.updates:
            said = "\n".join(escape(printable(line)) for line in update.text.splitlines())
            yield f'<p>{_time(update.at)}</p>\n<p class="said">{said}</p>'
        yield "</article>"


def _time(moment: datetime) -> str:
    there = moment.astimezone(UTC)
    shown = f"{there.day} {there:%B %Y, %H:%M}"
    return f'<time datetime="{there:%Y-%m-%dT%H:%M:%SZ}">{shown}</time>'
