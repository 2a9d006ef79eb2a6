"""The standard document as HTML: the review, in which nothing of others is live."""

from __future__ import annotations

from markupsafe import Markup

from daemon.core.reporting.review.document import Figure
from daemon.core.reporting.review.html import html_body
from daemon.core.reporting.review.model import Review
from daemon.core.reporting.review.sections import review_document


def document_html(review: Review, figure: Figure | None = None) -> Markup:
    """The review, safe to show: all its text is escaped by `html_body`."""
    return Markup(html_body(review_document(review), figure))  # noqa: S704 - made safe there
