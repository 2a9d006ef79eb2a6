"""Onsets are located less finely: a large part of what an incident costs, and seldom the point."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest.mock import patch

from daemon.core.measurement import onset_interval


def coarse_onsets() -> AbstractContextManager[object]:
    """While this is entered, an onset is looked for at an eighth of the moments."""
    return patch.multiple(onset_interval, _COARSE=8, _FINE=8)
