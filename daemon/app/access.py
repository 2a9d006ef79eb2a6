"""From the settings to how a server is reached: the secrets read, the paths made whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from requests.utils import get_environ_proxies, select_proxy

from daemon.adapters.http_access import HttpAccess, basic
from daemon.adapters.tls import Trust
from daemon.config.access import ENVIRONMENT, AccessSettings
from daemon.config.serving import TrustSettings
from daemon.config.settings import Settings, secret
from daemon.core.people.contact_methods import REFERENCE
from daemon.core.values.outgoing import OutgoingPolicy

ReadsSecret = Callable[[str], str]


def secret_reader(settings: Settings, environ: Mapping[str, str]) -> ReadsSecret:
    """Reads what a reference of these settings names; it raises Permanent if that is not there."""
    return lambda reference: secret(reference, environ, settings.base)


def access_for(
    setting: str,
    url: str,
    chosen: AccessSettings,
    secret: ReadsSecret,
    base: Path,
    outgoing: OutgoingPolicy,
) -> HttpAccess:
    """How the server at `url` is reached as `chosen`, which stands at `setting`, says; relative
    paths start at `base`. Raises Permanent naming the secret that is not there."""
    headers, secrets = dict[str, str](), list[str]()

    def read(reference: str) -> str:
        secrets.append(secret(reference))
        return secrets[-1]

    for name, value in chosen.headers.items():
        headers[name] = read(value) if REFERENCE.fullmatch(value) else value
    if chosen.username is not None:
        password = "" if chosen.password is None else read(chosen.password)
        headers["Authorization"] = basic(chosen.username, password)
    elif chosen.bearer_token is not None:
        headers["Authorization"] = f"Bearer {read(chosen.bearer_token)}"
    trust = trust_for(f"{setting}.tls", chosen.tls, base)
    proxy = _proxy(url, chosen.proxy, read)
    return HttpAccess(url, setting, headers, trust, proxy, tuple(secrets), outgoing)


def _proxy(url: str, chosen: str | None, read: ReadsSecret) -> str:
    if chosen is None:
        return ""
    if chosen == ENVIRONMENT:
        return select_proxy(url, get_environ_proxies(url)) or ""
    return read(chosen) if REFERENCE.fullmatch(chosen) else chosen


def trust_for(setting: str, chosen: TrustSettings, base: Path) -> Trust | None:
    """The files that a section of the settings names; relative paths start at `base`."""
    paths = (chosen.ca, chosen.certificate, chosen.key)
    if paths == (None, None, None):
        return None
    ca, certificate, key = (None if path is None else base / path for path in paths)
    return Trust(setting, ca, certificate, key)
