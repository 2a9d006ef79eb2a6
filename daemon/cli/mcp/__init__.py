"""`stopgap mcp`: the daemon for assistants, by the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.client import CommandFailure, call, remote_options

_NEEDS = "this needs the MCP library, which is not installed; pip install 'stopgap[mcp]'"


@click.command("mcp")
@remote_options
@click.option(
    "--act",
    is_flag=True,
    help="Offer tools that act, too: acknowledge, approve, veto, pause, freeze, send.",
)
def mcp_command(url: str, token_file: Path | None, act: bool) -> None:
    """Let an assistant look at incidents, explain them and propose steps.

    A server of the Model Context Protocol on standard input and output, for a client that starts
    it. It talks to the daemon with your token, so it can do no more than that token: one with the
    scope `read` (stopgap token create NAME --scope read) changes nothing, `respond` proposes and,
    with --act, acts as you do, under the same approvals. Every use of a tool is in the audit:
    stopgap audit assistants.

    \b
    Example: stopgap mcp --token-file /etc/stopgap/assistant.token
    Example: stopgap mcp --act --url https://stopgap.example.org
    """
    try:
        from daemon.cli.mcp.server import serve_assistant
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "mcp":
            raise
        raise CommandFailure(_NEEDS) from None
    call("GET", url, token_file, "/api/v1/me")  # what is wrong with it is said before anything
    serve_assistant(
        lambda method, path, body, more: call(method, url, token_file, path, body, more=more), act
    )
