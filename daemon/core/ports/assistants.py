"""The port to the record of what assistants (programs that speak MCP) asked and did."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from daemon.core.values.units import Frozen, Moment

TOOL_NAME = r"^[a-z][a-z_]{0,49}$"
"""What a tool of `stopgap mcp` is called."""
MOST_ARGUMENTS = 2000
"""Characters that are kept of what a tool was asked with."""


class AssistantCall(Frozen):
    """One use of a tool by an assistant, in the name of the `person` whose token it has.

    `asked` is the request that came of it: method, path, query and body. `incident` is empty where
    the tool speaks of none.
    """

    at: Moment
    person: str
    tool: str = Field(pattern=TOOL_NAME)
    incident: str = ""
    asked: str = Field(default="", max_length=MOST_ARGUMENTS)


class AssistantLog(Protocol):
    """Keeps each call, for the audit. Raises Temporary or Permanent."""

    async def note(self, call: AssistantCall) -> None:
        """Keep it, durably; what it asks for is not done before."""

    async def newest(self, limit: int) -> list[AssistantCall]:
        """The newest calls, the newest first."""
