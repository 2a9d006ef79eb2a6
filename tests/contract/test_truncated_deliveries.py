"""What a truncated notification left out is asked for again and again, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest
import structlog

from daemon.core.alertmanager import Alert, Delivery
from daemon.core.values.outcome import Permanent, Temporary
from daemon.intake.truncated import complete

DELIVERY = Delivery.model_validate(
    {
        "version": "4",
        "groupKey": "{}",
        "receiver": "stopgap",
        "status": "firing",
        "groupLabels": {"service": "shop"},
        "alerts": [],
    }
)


class Source:
    """An Alertmanager that fails so often, and then answers; `asked`: when, in seconds."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked: list[float] = []

    async def alerts(self, group_labels: Mapping[str, str], receiver: str) -> Sequence[Alert]:
        assert (dict(group_labels), receiver) == ({"service": "shop"}, "stopgap")
        self.asked.append(round(asyncio.get_running_loop().time()))
        if self.failures:
            raise self.failures.pop(0)
        return ()


async def completed(source: Source | None) -> tuple[int, list[str]]:
    """How often it was told, and the levels of what was logged."""
    told = 0

    async def tell(_: Sequence[Alert]) -> None:
        nonlocal told
        told += 1

    with structlog.testing.capture_logs() as logged:
        await complete(source, DELIVERY, tell)
    return told, [entry["log_level"] for entry in logged]


@pytest.mark.looptime
class TestCompletion:
    async def test_it_asks_until_there_is_an_answer(self) -> None:
        source = Source(Temporary("a"), Temporary("b"))
        assert await completed(source) == (1, ["warning"] * 2)
        assert source.asked == [0, 1, 6]

    async def test_the_last_pause_is_followed_by_a_last_try(self) -> None:
        source = Source(*[Temporary("x")] * 5)
        assert await completed(source) == (1, ["warning"] * 5)
        assert source.asked == [0, 1, 6, 21, 81, 381]

    async def test_it_gives_up_after_the_last_try_without_another_pause(self) -> None:
        source = Source(*[Temporary("x")] * 9)
        assert await completed(source) == (0, ["warning"] * 5 + ["error"])
        assert asyncio.get_running_loop().time() == pytest.approx(381, abs=1)

    @pytest.mark.parametrize("failure", [Permanent("no such receiver"), RuntimeError("a defect")])
    async def test_what_does_not_pass_by_itself_is_not_asked_again(
        self, failure: Exception
    ) -> None:
        source = Source(failure)
        assert await completed(source) == (0, ["error"])
        assert source.asked == [0]

    async def test_without_a_source_it_stays_incomplete(self) -> None:
        assert await completed(None) == (0, ["error"])
