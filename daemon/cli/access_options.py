"""The options that say how a Prometheus is reached, where no stopgap.yaml does."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
from pydantic import ValidationError

from daemon.config.access import AccessSettings
from daemon.core.people.contact_methods import REFERENCE

_R = TypeVar("_R")
_FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.option("--username", metavar="NAME", help="Who we are, by basic auth."),
    click.option("--password", metavar="REF", help="And its password: env:NAME or file:PATH."),
    click.option("--bearer-token", metavar="REF", help="The token: env:NAME or file:PATH."),
    click.option("--bearer-file", type=_FILE, help="The same as --bearer-token file:PATH."),
    click.option(
        "--header",
        "headers",
        metavar="NAME=VALUE",
        multiple=True,
        help="A header, such as X-Scope-OrgID=shop; a secret VALUE is env:NAME or file:PATH.",
    ),
    click.option(
        "--ca", type=_FILE, help="Who signs its certificate, if this machine does not know: PEM."
    ),
    click.option(
        "--client-certificate", type=_FILE, help="What we prove ourselves to it with: PEM."
    ),
    click.option("--client-key", type=_FILE, help="The key of --client-certificate."),
    click.option(
        "--proxy",
        metavar="URL",
        help="The proxy to it; `environment`: as HTTPS_PROXY and NO_PROXY say. Without: none.",
    ),
)
_NAMES = (
    "username",
    "password",
    "bearer_token",
    "bearer_file",
    "headers",
    "ca",
    "client_certificate",
    "client_key",
    "proxy",
)


def access_options(command: Callable[..., _R]) -> Callable[..., _R]:
    """Give a command these options; what they say comes to it as `access`, an AccessSettings whose
    paths are absolute."""

    @wraps(command)
    def with_access(*arguments: Any, **given: Any) -> _R:
        access = _given(**{name: given.pop(name) for name in _NAMES})
        return command(*arguments, access=access, **given)

    for option in reversed(_OPTIONS):
        with_access = option(with_access)
    return with_access


def _given(
    username: str | None,
    password: str | None,
    bearer_token: str | None,
    bearer_file: Path | None,
    headers: tuple[str, ...],
    ca: Path | None,
    client_certificate: Path | None,
    client_key: Path | None,
    proxy: str | None,
) -> AccessSettings:
    """Raises UsageError, which repeats no value that may be a secret."""
    if bearer_file is not None:
        if bearer_token is not None:
            raise click.UsageError("--bearer-file is a --bearer-token: give one of them")
        bearer_token = f"file:{bearer_file}"
    if client_key is not None and client_certificate is None:
        raise click.UsageError("--client-key goes with --client-certificate")
    named = dict[str, str]()
    for header in headers:
        name, equals, value = header.partition("=")
        if not equals:
            raise click.UsageError("--header is NAME=VALUE, such as X-Scope-OrgID=shop")
        named[name] = _absolute(value) or ""
    files = {"ca": ca, "certificate": client_certificate, "key": client_key}
    given = {
        "username": username,
        "password": _absolute(password),
        "bearer_token": _absolute(bearer_token),
        "headers": named,
        "tls": {name: None if path is None else path.resolve() for name, path in files.items()},
        "proxy": _absolute(proxy),
    }
    try:
        return AccessSettings.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        option = "".join(f"--{place}: ".replace("_", "-") for place in first["loc"][:1])
        raise click.UsageError(option + first["msg"].removeprefix("Value error, ")) from None


def _absolute(reference: str | None) -> str | None:
    """A relative file of a reference is beside us, not beside the stopgap.yaml that names it."""
    if reference is None or not reference.startswith("file:") or not REFERENCE.fullmatch(reference):
        return reference
    return f"file:{Path(reference.removeprefix('file:')).resolve()}"
