"""The standard document as HTML: the review's Markdown, in which nothing of others is live."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from daemon.core.incident.events import Entry
from daemon.core.reporting.review import markdown

_LIVE = (
    "reference",
    "link",
    "image_link",
    "image_reference",
    "short_reference",
    "short_image_ref",
    "autolink",
    "automail",
    "html",
    "entity",
)
"""What Markdown would make links, pictures or raw HTML of."""


def document_html(entries: Sequence[Entry]) -> Markup:
    """The review of a journal, safe to show.

    The review escapes what others wrote. This does not rely on it: raw HTML, links and pictures
    are not even read, so that everything left is text, which is escaped when it is written.
    """
    from markdown import Markdown  # for the first document, not for the start

    reader = Markdown(extensions=["tables"], output_format="html")
    reader.preprocessors.deregister("html_block")
    reader.parser.blockprocessors.deregister("reference")
    for name in _LIVE:
        reader.inlinePatterns.deregister(name)
    reader.ESCAPED_CHARS.append("<")  # the review escapes it so; Markdown itself does not know
    return Markup(reader.convert(markdown(entries)))  # noqa: S704 - made safe above
