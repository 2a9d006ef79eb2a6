"""The keys that seal the journal, as the settings name them."""

from __future__ import annotations

from collections.abc import Mapping

from daemon.config.settings import Settings, secret
from daemon.core.values.outcome import Permanent
from daemon.core.values.seal import SHORTEST_KEY, UNKEYED, Keyring, Seal


def keyring_for(settings: Settings, environ: Mapping[str, str]) -> Keyring:
    """What seals the journal and checks it. Raises Permanent if a key cannot be read."""

    def seal(reference: str) -> Seal:
        try:
            key = secret(reference, environ, settings.base)
        except Permanent as error:
            raise Permanent(f"a key of `audit`: {error}") from None
        if len(key) < SHORTEST_KEY:
            raise Permanent(
                f"the audit key in {reference} has fewer than {SHORTEST_KEY} characters and could "
                "be guessed; `openssl rand -hex 32` makes a good one"
            )
        return Seal(key)

    chosen = settings.audit
    current = UNKEYED if chosen.key is None else seal(chosen.key)
    return Keyring(current, map(seal, chosen.former_keys))
