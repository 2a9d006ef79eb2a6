"""What recognises people is built from the roster and the settings, or says what is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from daemon.adapters.oidc import OpenIdProvider
from daemon.adapters.store import Store, open_store
from daemon.app.auth import authenticator_for, secret_check_for
from daemon.config.active import ActiveConfig, Live
from daemon.config.settings import Settings, secret
from daemon.core.people.roster import Roster
from daemon.core.rules.rule import RuleBook
from daemon.core.values.outcome import Permanent
from daemon.core.values.yaml_document import one_document
from tests.contract.rig import CHEAP

HASH = CHEAP.hash("four quite ordinary words")
ROSTER = """
people:
  ada: {{name: Ada, token: "env:ADA", password: "{password}", contact: [{{console: true}}]}}
  bo: {{name: Bo, contact: [{{console: true}}]}}
policies: {{p: {{tiers: [{{notify: [ada]}}]}}}}
default_policy: p
"""
OIDC = {"issuer": "https://sso.example", "client_id": "x", "client_secret": "env:CLIENT"}


def roster(password: str) -> Roster:
    return one_document(ROSTER.format(password=password), "roster.yaml").read(Roster)


def secrets(folder: Path, **environ: str) -> Callable[[str], str]:
    return partial(secret, environ={"ADA": "adas", **environ}, base=folder)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(tmp_path / "stopgap.db") as found:
        yield found


@pytest.mark.parametrize(
    "given", [HASH, "env:ADA_HASH", "file:ada.hash"], ids=["here", "environment", "file"]
)
def test_a_hash_stands_in_the_roster_or_elsewhere(tmp_path: Path, given: str) -> None:
    (tmp_path / "ada.hash").write_text(f"{HASH}\n")
    keeper = secret_check_for(Settings(), roster(given), secrets(tmp_path, ADA_HASH=HASH))
    assert keeper.password_of("ada") == HASH
    assert keeper.password_of("bo") is None
    assert keeper.person_of("adas") == "ada"
    assert keeper.person_of("") is None


def test_what_is_no_hash_is_said_and_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(Permanent) as caught:
        secret_check_for(Settings(), roster("env:ADA_HASH"), secrets(tmp_path, ADA_HASH="hunter2"))
    assert str(caught.value) == (
        "people.ada.password: what env:ADA_HASH holds is no argon2id hash; `stopgap password` "
        "makes one"
    )
    with pytest.raises(Permanent, match="variable ADA_HASH is not set"):
        secret_check_for(Settings(), roster("env:ADA_HASH"), secrets(tmp_path))


def test_nobody_shares_a_token_with_somebody_else_or_with_alertmanager(tmp_path: Path) -> None:
    two = roster(HASH)
    people = {**two.people, "bo": two.people["bo"].model_copy(update={"token": "env:BO"})}
    two = two.model_copy(update={"people": people})
    with_hook = Settings.model_validate({"auth": {"webhook_token": "env:HOOK"}})
    keeper = secret_check_for(with_hook, two, secrets(tmp_path, BO="bos", HOOK="hooks"))
    assert (keeper.token_of("bo"), keeper.token_of("cy")) == ("bos", None)
    with pytest.raises(
        Permanent, match=r"people\.bo\.token is the same secret as people\.ada\."
    ) as e:
        secret_check_for(with_hook, two, secrets(tmp_path, BO="adas", HOOK="hooks"))
    assert "adas" not in str(e.value)
    with pytest.raises(Permanent, match=r"people\.bo\.token is the same secret as auth\.webhook_t"):
        secret_check_for(with_hook, two, secrets(tmp_path, BO="hooks", HOOK="hooks"))


async def test_a_provider_is_there_if_it_is_set_up(store: Store, tmp_path: Path) -> None:
    people = roster(HASH)
    keeper = secret_check_for(Settings(), people, secrets(tmp_path))
    with_oidc = Settings.model_validate({"auth": {"oidc": OIDC}})
    async with aiohttp.ClientSession() as session:
        active = Live(ActiveConfig(RuleBook(()), people))

        def build(settings: Settings, **environ: str) -> object:
            known = secrets(tmp_path, **environ)
            return authenticator_for(settings, store, session, known, active, Live(keeper)).provider

        assert build(Settings()) is None
        assert isinstance(build(with_oidc, CLIENT="s"), OpenIdProvider)
        with pytest.raises(Permanent, match="variable CLIENT is not set"):
            build(with_oidc)
