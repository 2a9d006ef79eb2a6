"""Steps, proposals, freezes, observed decisions: from the command line to the daemon and back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from daemon.core.incident import events as e
from daemon.core.values.outcome import Outcome
from tests.contract.rig import ADA, Rig, rigged
from tests.contract.test_cli_double import Ended, run


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with rigged() as rig:
        await rig.does("ack", ADA)
        monkeypatch.setenv("STOPGAP_URL", str(rig.client.make_url("")))
        monkeypatch.setenv("STOPGAP_TOKEN", "ada-token")
        monkeypatch.setenv("COLUMNS", "200")
        yield rig


async def runs(*arguments: str) -> Ended:
    return await asyncio.to_thread(run, *arguments)


async def test_a_step_is_started_skipped_and_vetoed(rig: Rig) -> None:
    assert (await runs("step", rig.id, "2", "start")).out == "step 2: ordered\n"
    skipped = await runs("step", rig.id, "1", "skip", "not", "that", "one")
    assert skipped.out == "step 1: skipped\n"
    incident = await rig.incident()
    assert (incident.step(2).ordered, incident.step(1).status) == (True, "skipped")
    assert (await runs("step", rig.id, "2", "veto")).out == "step 2: vetoed\n"
    wrong = await runs("step", rig.id, "2", "approve", "because")
    assert (wrong.code, "only `skip` takes a reason" in wrong.err) == (2, True)
    late = await runs("step", rig.id, "2", "approve")
    assert (late.code, "is vetoed" in late.err) == (1, True)


async def test_what_a_freeze_holds_up_says_so_and_until_when_it_counts(rig: Rig) -> None:
    await runs("freeze", "--for", "2h", "a", "migration")
    told = (await runs("step", rig.id, "2", "start")).out
    assert told.startswith("step 2: ordered; it waits: frozen by ada since 14:00:00 UTC until ")
    assert "a migration; the order lapses at 14:00:20 UTC unless it can start before" in told
    _, answer = await rig.asks("POST", f"{rig.path}/steps/1/approve", ADA)
    assert answer["waits"].startswith("frozen by ada since 14:00:00 UTC until ")
    page = await rig.client.get(f"/incidents/{rig.id}?done=start", headers=ADA)
    assert "It waits: frozen by ada" in await page.text()
    await runs("thaw")
    told = (await runs("step", rig.id, "2", "start")).out
    assert told == "step 2: ordered\n"


async def test_a_proposal_that_is_refused_shows_one_that_is_taken(rig: Rig) -> None:
    refused = await runs("propose", rig.id, "flag_off")
    assert refused.err.endswith(f"\nlike: stopgap propose {rig.id} flag_off --with target=TARGET\n")
    # Where no other parameter would do, none is shown.
    for incident, options in (("NOPE", ()), (rig.id, ("--token-file", "/nowhere"))):
        refused = await runs("propose", incident, "flag_off", "--with", "target=x", *options)
        assert (refused.code, "like:" in refused.err) == (1, False), refused.err


async def test_an_alternative_is_proposed_and_started(rig: Rig) -> None:
    told = await runs("propose", rig.id, "flag_off", "--with", "target=shop", "--within", "5m")
    assert told.out == "step 101 (flag_off) waits for the Commander's approval\n"
    told = await runs("propose", rig.id, "flag_off", "--with", "target=cart", "--start")
    assert told.out == "step 102: ordered\n"
    plan = (await rig.incident()).steps
    assert plan[101].proposed is not None
    assert plan[101].proposed.params == {"target": "shop"}
    assert plan[102].ordered


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["flag_off", "--with", "target"], 2, "write it as NAME=VALUE"),
        (["flag_off", "--with", "target=[a"], 2, "is no YAML"),
        (["flag_off"], 1, "target: Field required"),
        (["flags"], 1, "there is no action 'flags'"),
    ],
)
async def test_what_cannot_be_proposed_is_said_at_once(
    rig: Rig, arguments: list[str], code: int, told: str
) -> None:
    ended = await runs("propose", rig.id, *arguments)
    assert ended.code == code
    assert told in ended.err


async def test_the_catalogue_is_listed_with_what_it_needs(rig: Rig) -> None:
    told = await runs("actions")
    assert "flag_off" in told.out
    assert "target*" in told.out


async def test_freezes_are_made_listed_and_lifted_by_scope(rig: Rig) -> None:
    assert (await runs("freezes")).out == "nothing is frozen, and nothing is going to be\n"
    told = await runs("freeze", "--for", "2h", "--team", "payments", "a", "migration")
    assert told.out == "frozen: no recovery action will start for team payments\n"
    assert (await runs("freeze", "all")).out == "frozen: no recovery action will start\n"
    listed = (await runs("freezes")).out
    assert "team:payments" in listed
    assert "2026-11-23 16:00" in listed
    assert "thawed" in listed
    assert (await runs("thaw", "--team", "payments")).out == "thawed\n"
    missing = await runs("thaw", "--service", "shop")
    assert missing.out == "there was no freeze of the scope service:shop\n"
    both = await runs("freeze", "--team", "a", "--service", "b", "why")
    assert (both.code, "not both" in both.err) == (2, True)
    unknown = await runs("freeze", "--team", "nobody", "why")
    assert (unknown.code, "no team 'nobody'" in unknown.err) == (1, True)


async def test_observed_decisions_are_told(rig: Rig) -> None:
    assert "rules with `mode: observe` write one at each incident" in (await runs("observed")).out
    await rig.happens(
        e.StepObserved(step=1, action="rollback", target="shop", reason="", text="all allows it")
    )
    told = (await runs("observed", "checkout-success-rate")).out
    assert "nothing yet" in told
    assert "right in 0 incidents so far; wait for 5" in " ".join(told.split())


async def test_a_rule_is_trusted_again(rig: Rig) -> None:
    untouched = await runs("trust", "checkout-success-rate", "why", "not")
    assert (untouched.code, "has its autonomy" in untouched.err) == (1, True)
    await rig.happens(
        e.StepStarted(
            step=1, action="rollback", target="shop", params={}, authority="pre-approved by ada"
        ),
        e.StepFinished(step=1, outcome=Outcome(result="done", reason="done", detail="x")),
        e.StepVerified(step=1, verdict="worse", text="x"),
    )
    told = (await runs("trust", "checkout-success-rate", "it", "is", "mended")).out
    assert told.startswith("checkout-success-rate acts by itself again")
    assert rig.keeper.record("checkout-success-rate").restoration is not None
