"""The ways to people of a virtual daemon: they ring nowhere, and remember what was said."""

from __future__ import annotations

from daemon.core.ports.notification import Message, Page, Receipt


class RecordedPager:
    """A `daemon.core.ports.notification.Pager` that always gets through."""

    def __init__(self) -> None:
        self.pages: list[Page] = []

    async def page(self, page: Page) -> str:
        self.pages.append(page)
        return "rang"


class RecordedChannel:
    """A `daemon.core.ports.notification.Channel` that keeps all that was posted."""

    def __init__(self) -> None:
        self.posts: list[Message] = []

    async def post(self, message: Message) -> Receipt:
        self.posts.append(message)
        return Receipt("posted")


class PlainLinks:
    """`daemon.core.ports.notification.Links` that lead nowhere, and say what to."""

    def for_page(self, incident: str, page: str) -> str:
        return f"http://stopgap/a/{incident}/{page}"

    def document(self, incident: str) -> str:
        return f"http://stopgap/d/{incident}"
