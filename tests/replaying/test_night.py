"""The night of `make demo STORY=night`, in virtual time: nobody is woken in vain."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

SANDBOX = Path(__file__).resolve().parents[2] / "deploy" / "sandbox"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's modules, which are scripts that stand beside each other."""
    monkeypatch.setattr(sys, "path", [str(SANDBOX), *sys.path])


def test_the_night_ends_as_it_should() -> None:
    from night import faults, play_night

    daemon = play_night()
    assert list(faults(daemon)) == []
    assert not daemon.crashes
    (review,) = daemon.reviews.texts.values()
    assert "loyalty club" in review
