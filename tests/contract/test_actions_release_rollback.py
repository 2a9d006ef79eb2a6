"""`release_rollback`: the contract, each refusal, and the switch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from daemon.core.ports.actions import Action, ActionContext
from recovery_actions import catalogue
from recovery_actions.contract import HOSTILE, ActionContract, context, script
from recovery_actions.releases import ReleaseDirectory, release_target
from recovery_actions.workshop import Workshop


def service(path: Path, releases: Iterable[str] = ("v1", "v2"), live: str = "v2") -> Path:
    """A folder of releases."""
    for name in releases:
        (path / "releases" / name).mkdir(parents=True)
    (path / "current").symlink_to(f"releases/{live}")
    return path


class TestReleaseRollback(ActionContract):
    @pytest.fixture
    def action(self, tmp_path: Path) -> Action:
        service(tmp_path / "shop")
        restart = script(
            tmp_path / "restart", f"readlink {tmp_path}/shop/current >> {tmp_path}/log"
        )
        (tmp_path / "log").touch()
        received = script(tmp_path / "received", f'printf %s "$1" > {tmp_path}/argument')
        return catalogue(Workshop(tmp_path, [[restart], [received, "*"]]))["release_rollback"]

    @pytest.fixture
    def params(self, action: Action, tmp_path: Path) -> Any:
        return action.Params(directory="shop", restart=[str(tmp_path / "restart")])

    @pytest.fixture
    def refused_params(self, action: Action, tmp_path: Path) -> Any:
        return action.Params(directory="elsewhere", restart=[str(tmp_path / "restart")])

    @pytest.fixture
    def context(self) -> ActionContext:
        return context(to="v1")

    def effect(self, tmp_path: Path) -> Any:
        return os.readlink(tmp_path / "shop/current"), (tmp_path / "log").read_text()

    def hostile(self, value: str, tmp_path: Path) -> Iterable[dict[str, Any]]:
        restart = [str(tmp_path / "restart")]
        yield {"directory": value, "restart": restart}
        # The same as a folder that exists, where the file system can hold it.
        if "\0" not in value and value.isprintable() and 0 < len(value) < 200:
            flat = value.replace("/", "_").replace("..", "_")
            if not (tmp_path / flat).exists():
                service(tmp_path / flat)
            yield {"directory": flat, "restart": restart}
        yield {"directory": "shop", "restart": [value]}
        yield {"directory": "shop", "restart": [str(tmp_path / "received"), value]}

    @pytest.mark.parametrize("kind", HOSTILE)
    async def test_a_hostile_release_name_is_refused(
        self, action: Action, params: Any, tmp_path: Path, kind: str
    ) -> None:
        name = HOSTILE[kind].format(canary=tmp_path / "canary", victim=tmp_path)
        before = self.world(tmp_path)
        refused: Any = await action.preflight(params, context(to=name))
        assert refused.reason in ("release_missing", "no_healthy_item")
        outcome = await action.run(params, {"from": "v2", "to": name}, context())
        assert (outcome.result, outcome.reason) == ("refused", "release_missing")
        after = self.world(tmp_path)
        assert after.pop("shop/.stopgap.lock")
        before.pop("shop")
        after.pop("shop")  # its mtime: the lock file is in it now
        assert after == before


# ── a shop to roll back ──────────────────────────────────────────────────────────────────────

INTENT = {"from": "v2", "to": "v1"}


class Shop:
    """A service with two releases, v2 live, and a restart that logs the release it starts."""

    def __init__(self, root: Path, restart: str = "true") -> None:
        self.root = root
        self.path = service(root / "shop")
        self.log = root / "log"
        self.log.touch()
        log = f"readlink {self.path}/current >> {self.log}"
        self.restart = script(root / "restart", f"{log}\n{restart}")
        self.releases = ReleaseDirectory(self.path)
        self.action = catalogue(Workshop(root, [[self.restart]]))["release_rollback"]

    def params(self, **changes: Any) -> Any:
        raw = {"directory": "shop", "restart": [self.restart], **changes}
        return self.action.Params.model_validate(raw)

    async def run(self, context: ActionContext, **changes: Any) -> Any:
        return await self.action.run(self.params(**changes), INTENT, context)

    async def check(self, context: ActionContext) -> str:
        return await self.action.check(self.params(), INTENT, context)

    async def refusal(self, to: str = "v1", **changes: Any) -> str:
        refused: Any = await self.action.preflight(self.params(**changes), context(to))
        reason: str = refused.reason
        return reason

    def point(self, name: str) -> None:
        """Somebody switches `current`."""
        (self.path / "current").unlink()
        (self.path / "current").symlink_to(f"releases/{name}")

    @property
    def current(self) -> str:
        return os.readlink(self.path / "current")

    @property
    def restarts(self) -> list[str]:
        return self.log.read_text().split()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


# ── parameters and refusals ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directory": ""}, "it is empty"),
        ({"directory": " "}, "it is empty"),
        ({"directory": "/srv/../etc"}, "holds `..`"),
        ({"directory": "shop\n"}, "U\\+000A"),
        ({"directory": "shop\0"}, "U\\+0000"),
        ({"restart": []}, "a command needs a program"),
        ({"restart": ["a\nb"]}, "U\\+000A"),
        ({"restart_timeout": "0s"}, "greater than 0"),
        ({"release": "v1"}, "Extra inputs"),
    ],
)
def test_wrong_parameters_are_named(shop: Shop, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        shop.params(**change)


@pytest.mark.parametrize(
    ("directory", "target"),
    [
        ("/srv/shop", "release:/srv/shop"),
        ("//srv//shop/./", "release:/srv/shop"),
        ("./shop/", "release:shop"),
        ("shop..old", "release:shop..old"),
    ],
)
def test_one_folder_is_one_target(directory: str, target: str) -> None:
    assert release_target(directory) == target


async def test_preflight_says_the_switch_and_the_command(shop: Shop) -> None:
    ready: Any = await shop.action.preflight(shop.params(), context("v1"))
    assert ready.intent == INTENT
    assert ready.summary == f"switch current from v2 to v1 and run `{shop.restart}`"


async def test_each_refusal_has_its_reason(shop: Shop, tmp_path: Path) -> None:
    assert await shop.refusal(restart=["reboot"]) == "command_not_allowed"
    assert await shop.refusal(directory="elsewhere") == "no_directory"
    assert await shop.refusal(directory="x" * 10_000) == "no_directory"
    assert await shop.refusal(to="") == "no_healthy_item"
    assert await shop.refusal(to="v2") == "no_healthy_item"
    assert await shop.refusal(to="v0") == "release_missing"
    (tmp_path / "restart").unlink()
    assert await shop.refusal() == "program_missing"


@pytest.mark.parametrize(
    ("points_to", "sentence"),
    [
        (None, "has no link `current`"),
        ("", "is not a symbolic link"),
        ("/etc", "points to /etc, which is no release in"),
        ("releases", "points to releases, which is no release in"),
        ("releases/..", "points to releases/.., which is no release in"),
        ("releases/v1/public", "points to releases/v1/public, which is no release in"),
    ],
)
async def test_a_folder_of_another_layout_is_refused(
    shop: Shop, points_to: str | None, sentence: str
) -> None:
    current = shop.path / "current"
    current.unlink()
    if points_to:
        current.symlink_to(points_to)
    elif points_to is not None:
        current.mkdir()
    refused: Any = await shop.action.preflight(shop.params(), context("v1"))
    assert refused.reason == "not_a_release_directory"
    assert sentence in refused.text
    outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("refused", "not_a_release_directory")


async def test_a_folder_that_cannot_be_written_is_refused(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Any, mode: int) -> bool:  # root may write anywhere, so chmod proves nothing
        return not (path == shop.path and mode & os.W_OK)

    with monkeypatch.context() as patch:
        patch.setattr(os, "access", read_only)
        assert await shop.refusal() == "not_writable"
    (shop.path / ".stopgap.lock").mkdir()
    outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("refused", "not_writable")


# ── the switch ───────────────────────────────────────────────────────────────────────────────


async def test_it_switches_restarts_and_tells(shop: Shop) -> None:
    said: list[str] = []
    outcome = await shop.run(context(said=said))
    assert (outcome.result, outcome.reason) == ("done", "rolled_back")
    assert outcome.detail.startswith("current was switched from v2 to v1, and")
    assert said == ["current → v1", "restarted"]
    assert (shop.current, shop.restarts) == ("releases/v1", ["releases/v1"])
    state = json.loads((shop.path / ".stopgap-rollback.json").read_text())
    assert state == {"token": "step-1", "from": "v2", "to": "v1", "phase": "restarted"}
    assert sorted(p.name for p in shop.path.iterdir()) == [
        ".stopgap-rollback.json",
        ".stopgap.lock",
        "current",
        "releases",
    ]


async def test_an_absolute_link_stays_absolute(shop: Shop) -> None:
    (shop.path / "current").unlink()
    (shop.path / "current").symlink_to(shop.path / "releases/v2")
    await shop.run(context())
    assert shop.current == str(shop.path / "releases/v1")


async def test_releases_may_live_on_another_disk(shop: Shop, tmp_path: Path) -> None:
    (shop.path / "releases").rename(tmp_path / "disk")
    (shop.path / "releases").symlink_to(tmp_path / "disk")
    assert (await shop.run(context())).result == "done"


async def test_a_deployment_meanwhile_is_left_alone(shop: Shop) -> None:
    (shop.path / "releases/v3").mkdir()
    shop.point("v3")
    outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("refused", "changed_meanwhile")
    assert "points to v3 now" in outcome.detail
    assert (shop.current, shop.restarts) == ("releases/v3", [])
    assert await shop.check(context()) == "unknown"


async def test_somebody_else_at_the_same_release_is_not_us(shop: Shop) -> None:
    shop.point("v1")
    assert (await shop.run(context())).reason == "changed_meanwhile"
    assert await shop.check(context()) == "unknown"


async def test_a_release_deleted_after_preflight_is_refused(shop: Shop) -> None:
    (shop.path / "releases/v1").rmdir()
    outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("refused", "release_missing")
    assert shop.current == "releases/v2"


async def test_a_deployment_during_the_last_look_is_left_alone(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shop.path / "releases/v3").mkdir()
    write = ReleaseDirectory.write_phase

    def deploy(*arguments: Any) -> None:
        write(*arguments)
        shop.point("v3")

    monkeypatch.setattr(ReleaseDirectory, "write_phase", deploy)
    assert (await shop.run(context())).reason == "changed_meanwhile"
    assert shop.current == "releases/v3"


async def test_a_deployment_during_the_restart_leaves_it_unknown(tmp_path: Path) -> None:
    deploy = f"mkdir {tmp_path}/shop/releases/v3; ln -sfn releases/v3 {tmp_path}/shop/current"
    shop = Shop(tmp_path, restart=deploy)
    outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("unknown", "changed_meanwhile")
    assert await shop.check(context()) == "unknown"


async def test_two_processes_never_interleave(shop: Shop) -> None:
    with shop.releases.lock():
        outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("refused", "locked")
    assert (await shop.run(context())).result == "done"


async def test_a_disk_that_fails_leaves_the_link_and_says_so(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ReleaseDirectory, "write_phase", full)
    outcome = await shop.run(context())
    assert (outcome.result, outcome.reason) == ("failed", "switch_failed")
    assert "No space left on device; it points to v2 now" in outcome.detail
    assert shop.restarts == []
