"""What the commands share: settings, errors, and the talk with the daemon."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import click

from daemon.core.values.formats import parse_duration, printable

if TYPE_CHECKING:
    from daemon.config.settings import Settings

DEFAULT_CONFIG = Path("stopgap.yaml")
DEFAULT_URL = "http://127.0.0.1:9393"

_LATER = {502, 503, 504}
"""What a daemon that starts, or a proxy before one that is away, answers."""

_BAD_REQUEST = 400

UNKNOWN_TOKEN = 401
"""What a daemon answers that does not know the token."""

_NO_NAMES = {"", ".", ".."}
"""A path would lose them on its way, and name something else."""

F = TypeVar("F", bound=Callable[..., Any])


class CommandFailure(Exception):
    """Something is wrong with what was asked about; the text says what, and the mend."""


class BadRequest(CommandFailure):
    """The daemon cannot make sense of what was sent."""


class DaemonUnreachable(CommandFailure):
    """The daemon does not answer, or cannot at the moment."""


def config_option(command: F) -> F:
    """--config."""
    return click.option(
        "--config",
        "-c",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The settings file.  [default: stopgap.yaml here, if there is one]",
    )(command)


def json_option(command: F) -> F:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")(command)


def remote_options(command: F) -> F:
    """--url and --token-file."""
    command = click.option(
        "--url",
        envvar="STOPGAP_URL",
        default=DEFAULT_URL,
        show_default=True,
        help="The daemon. Also from STOPGAP_URL.",
    )(command)
    return click.option(
        "--token-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A file with your own token.  [default: the variable STOPGAP_TOKEN]",
    )(command)


def duration(_: click.Context, option: click.Parameter, given: str | None) -> str | None:
    """A callback for options like --for: the text as given, if it is a duration."""
    if given is not None:
        try:
            parse_duration(given)
        except ValueError as error:
            raise click.BadParameter(str(error), param=option) from None
    return given


def settings_from(config: Path | None) -> Settings:
    """The settings. Raises CommandFailure."""
    # Most commands only talk to the daemon, and load no models for that.
    from daemon.config.settings import environment, load_settings
    from daemon.core.values.outcome import Permanent
    from daemon.core.values.yaml_document import Mistakes

    path = config if config is not None else DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None
    try:
        return load_settings(path, environment())
    except Mistakes as error:
        raise CommandFailure(f"the settings are wrong\n{error}") from None
    except Permanent as error:
        raise CommandFailure(str(error)) from None


def has_settings(config: Path | None) -> bool:
    """Whether there is a settings file to go by."""
    return config is not None or DEFAULT_CONFIG.exists()


def own_url(settings: Settings) -> str:
    """Where the daemon of these settings answers on this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - not to bind
    scheme = "https" if settings.tls.on else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def incident_path(incident: str, *parts: str) -> str:
    """Where the API has an incident, or a part of it; what a person typed cannot lead elsewhere.

    Raises CommandFailure if a part is no name at all.
    """
    if incident.strip() in _NO_NAMES:
        raise CommandFailure("which incident? `stopgap incidents` lists them")
    for part in parts:
        if part.strip() in _NO_NAMES:
            raise CommandFailure(f"there is nothing that is called {part!r}")
    return "/".join(["/api/v1/incidents", *(path_part(part) for part in (incident, *parts))])


def path_part(name: str) -> str:
    """A name as a part of a path or a query; bytes that are no text stay the bytes they are."""
    return quote(name, safe="", errors="surrogateescape")


def act(
    method: str,
    url: str,
    token_file: Path | None,
    path: str,
    body: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Carry out a command; returns the incident as it stands after it. Raises CommandFailure."""
    after: dict[str, Any] = part_of(call(method, url, token_file, path, body), "incident", url)
    return after


def part_of(answer: Any, name: str, url: str) -> Any:
    """A part of the daemon's answer. Raises CommandFailure if there is none: it was not the
    daemon."""
    if not isinstance(answer, dict) or name not in answer:
        raise CommandFailure(f"{url} answered without `{name}`; is that a Stopgap daemon?")
    return answer[name]


def call(
    method: str,
    url: str,
    token_file: Path | None,
    path: str,
    body: dict[str, Any] | None = None,
    timeout: float = 15,
    more: Mapping[str, str] | None = None,
) -> Any:
    """Ask the daemon; returns the JSON, or the text of another kind. `timeout` in seconds, `more`
    are further headers.

    Raises CommandFailure; DaemonUnreachable if it is away or cannot answer now.
    """
    import requests  # a command that asks nothing does without, as --help does

    token = _token(token_file)
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "stopgap-cli"}
    headers |= more or {}
    sent = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        sent = _encoded(body)
    try:
        answer = requests.request(
            method, url.rstrip("/") + path, data=sent, headers=headers, timeout=timeout
        )
    except ValueError:  # what the library says of an address that is none
        raise CommandFailure(
            f"{printable(url)!r} is no address of a daemon; write it like {DEFAULT_URL}, "
            "in --url or STOPGAP_URL"
        ) from None
    except requests.RequestException as error:
        raise DaemonUnreachable(
            f"no answer from the daemon at {printable(url)} ({type(error).__name__}); "
            "is it running? Another address goes in --url or STOPGAP_URL"
        ) from None
    if answer.ok:
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        try:
            return answer.json() if is_json else answer.text
        except ValueError:
            raise CommandFailure(
                f"{url} answered what is no JSON; is that a Stopgap daemon?"
            ) from None
    try:
        problem = answer.json()
        text = printable(f"{problem['title']}: {problem['detail']}")
        if answer.status_code == UNKNOWN_TOKEN:
            text = _wrong_token(url, token_file)
    except (ValueError, KeyError, TypeError):
        text = (
            f"{printable(url)} answered {answer.status_code}; is that a Stopgap daemon? "
            "Another address goes in --url or STOPGAP_URL"
        )
    if answer.status_code == _BAD_REQUEST:
        raise BadRequest(text)
    raise (DaemonUnreachable if answer.status_code in _LATER else CommandFailure)(text)


def print_answer(as_json: bool, answer: Any, *lines: str) -> None:
    """Print what came of a command: the daemon's answer for machines, or lines for people."""
    if as_json:
        click.echo(json.dumps(answer))
        return
    for line in lines:
        click.echo(line)


def _encoded(body: Mapping[str, Any]) -> bytes:
    """JSON. Raises CommandFailure if something in it was typed in bytes that are no text."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise CommandFailure(
            "what you typed has bytes that are not UTF-8; type it again, or set LANG=C.UTF-8"
        ) from None


def _wrong_token(url: str, token_file: Path | None) -> str:
    """What a daemon means that does not know the token which it was given."""
    where = f"the file {token_file}" if token_file is not None else "the variable STOPGAP_TOKEN"
    return (
        f"wrong token: the daemon at {printable(url)} does not know the one in {where}; is it "
        "copied in full, of this daemon, and neither revoked nor expired? "
        f"Make another at {printable(url.rstrip('/'))}/you"
    )


def _token(token_file: Path | None) -> str:
    if token_file is not None:
        try:
            written = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise CommandFailure(
                f"no token: cannot read {token_file}; give another --token-file, or put your token "
                "into the variable STOPGAP_TOKEN"
            ) from None
        if not written:
            raise CommandFailure(f"who are you? The file {token_file} is empty; put your token in")
        return written
    token = os.environ.get("STOPGAP_TOKEN", "").strip()
    if token and not (token.isascii() and token.isprintable()):
        raise CommandFailure(
            "the token in STOPGAP_TOKEN has characters that no token has; copy it anew"
        )
    if not token:
        raise CommandFailure(
            "who are you? No token was given: put yours into the variable STOPGAP_TOKEN, or give "
            "--token-file"
        )
    return token
