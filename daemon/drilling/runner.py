"""Plays drills: starts them, brings about what their scripts say, and ends them.

Which runs go on is kept in a note of the store; everything else of a run is in the journals of its
incidents. A run that a stop of the daemon cut goes on if nothing of its script was missed by more
than a minute; else it ends, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog
from pydantic import ValidationError

from daemon.conduct.executor import Stage
from daemon.config.active import ActiveConfig
from daemon.core.drills.desk import DrillRefused
from daemon.core.drills.participants import blue_team
from daemon.core.drills.scenario import DrillScenario
from daemon.core.incident import events as e
from daemon.core.incident.drill_mark import DrillEnding, DrillMark
from daemon.core.incident.state import Incident
from daemon.core.ports.metrics import Metrics
from daemon.core.ports.notes import Notes
from daemon.core.values.outcome import Permanent, Temporary
from daemon.core.values.units import Frozen
from daemon.drilling.admission import admit_people, admit_target, called_for_real
from daemon.drilling.endings import DrillEndings, EmptyRun
from daemon.drilling.faults import Faults
from daemon.drilling.house import DrillHouse
from daemon.drilling.script import DrillScript, FaultFailed, ReceivesDrill
from daemon.drilling.stages import DrillStages
from daemon.intake.dispatch import PlayedDrill, random_letters

if TYPE_CHECKING:
    from daemon.drilling.played import PlayedRun

_log = structlog.get_logger()

DRILLS_NOTE = "drills under way"
_PATIENCE = timedelta(minutes=1)
"""A run goes on after a restart that kept it from nothing of its script for longer."""
_RETRY_SECONDS = 2.0
_CALLING = (e.PageQueued, e.ResponderArrived)
"""What tells that a real incident needs somebody."""


class _State(Frozen):
    """A run under way, as it is noted; `played` injects of its script were brought about."""

    mark: DrillMark
    played: int = 0


@dataclass
class _Playing:
    """A run under way in this process. `news`: of its incidents. `over`: it is being ended;
    `gone`: it has been."""

    run: PlayedRun
    played: int = 0
    task: asyncio.Task[None] | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Drills:
    """All drills of one daemon. `begin` comes before incidents are conducted.

    `faults` breaks staging targets; `stages`: what each run is played on.
    """

    def __init__(
        self, house: DrillHouse, notes: Notes, receive: ReceivesDrill, faults: Faults
    ) -> None:
        self.house = house
        self._repository = house.repository
        self._notes = notes
        self._endings = DrillEndings(house.repository, notes)
        self._script = DrillScript(house.repository, self._endings, receive, faults)
        self._playing: dict[str, _Playing] = {}
        self.stages = DrillStages(house)
        self._group: asyncio.TaskGroup | None = None
        self._starting = asyncio.Lock()
        self._elsewhere: list[DrillMark] = []
        """The runs that go on while another replica plays drills."""
        self._repository.listeners.append(self._on_append)

    # ── what the daemon's stages ask ─────────────────────────────────────────────────────────

    def played(self, run: str) -> PlayedDrill | None:
        """The drill of that run, while it is under way."""
        playing = self._playing.get(run)
        if playing is None or playing.over:
            return None
        return playing.run.intake

    def stage(self, mark: DrillMark) -> Stage:
        """What the incidents of the run are conducted with, also after its end."""
        return self.stages.of(mark).stage

    def config_of(self, incident: Incident) -> ActiveConfig:
        """What is in force for an incident, real or a drill's."""
        if incident.drill is None:
            return self.house.active.now
        return self.stages.of(incident.drill).config

    def metrics_of(self, incident: Incident, real: Metrics) -> Metrics:
        """What the incident is measured with; `real` in earnest."""
        return real if incident.drill is None else self.stages.of(incident.drill).server.metrics

    # ── starting and stopping ────────────────────────────────────────────────────────────────

    @property
    def under_way(self) -> list[DrillMark]:
        """The runs that go on, oldest first."""
        return [playing.run.mark for playing in self._playing.values()] or list(self._elsewhere)

    async def start(self, scenario: DrillScenario, by: str) -> DrillMark:
        """Hold the drill now. Raises DrillRefused, Temporary."""
        now, roster = self._repository.clock(), self.house.active.now.roster
        rule = self.stages.rule(scenario.rule) if scenario.rule else None
        if scenario.rule and rule is None:
            text = f"there is no rule {scenario.rule!r} any more; `stopgap drill check` tells more"
            raise DrillRefused(text)
        blue = tuple(
            name for name in blue_team(scenario, rule, roster, now) if not roster.bars(name)
        )
        return await self.start_for(scenario, by, blue)

    async def start_for(self, scenario: DrillScenario, by: str, blue: tuple[str, ...]) -> DrillMark:
        """Hold it now, with these people. Raises DrillRefused, Temporary."""
        async with self._starting:  # or two drills could begin at once for the same people
            return await self._start_for(scenario, by, blue)

    async def _start_for(
        self, scenario: DrillScenario, by: str, blue: tuple[str, ...]
    ) -> DrillMark:
        now, roster = self._repository.clock(), self.house.active.now.roster
        if not blue:
            raise DrillRefused("nobody would respond: name people under `roles: blue:`")
        self._refuse_elsewhere()
        runs = [playing.run for playing in self._playing.values()]
        admit_target(scenario, self.house.targets, runs)
        await admit_people(blue, runs, self._repository)
        mark = DrillMark(
            run=f"{now:%m%d-%H%M}-{random_letters(6)}",
            scenario=scenario.drill,
            title=scenario.title,
            by=by,
            began_at=now,
            blue=blue,
            observers=roster.named(scenario.roles.observers, now),
            audiences=scenario.audiences,
            document=scenario.document(),
        )
        playing = _Playing(self.stages.of(mark))
        self._playing[mark.run] = playing
        try:
            await self._note()
        except BaseException:
            del self._playing[mark.run]
            raise
        self._begin(playing)
        _log.warning("a drill begins", drill=scenario.drill, run=mark.run, by=by, blue=blue)
        return mark

    def _refuse_elsewhere(self) -> None:
        if self._group is None:
            raise DrillRefused(
                "drills are not played here yet: the daemon is starting, or another replica plays "
                "them (`stopgap replicas` shows who has the duty); ask that one, or try again"
            )

    async def empty_runs(self) -> Sequence[EmptyRun]:
        """The newest runs that are over and have opened no incident. Raises Temporary."""
        return await self._endings.empty_runs()

    async def ended(self, run: str) -> None:
        """Wait until the run is over."""
        playing = self._playing.get(run)
        if playing is not None:
            await playing.gone.wait()

    async def abort(self, run: str, text: str) -> None:
        """Stop the run at once. Raises DrillRefused if it does not go on, Temporary."""
        playing = self._playing.get(run)
        if any(mark.run == run for mark in self._elsewhere):
            self._refuse_elsewhere()
        if playing is None:
            raise DrillRefused(f"no drill {run} goes on; `stopgap drill list` has those that do")
        await self._end(playing, "aborted", text)

    # ── running ──────────────────────────────────────────────────────────────────────────────

    async def begin(self) -> None:
        """Put the runs together again that an earlier process left, before their incidents are
        conducted. Raises Temporary."""
        for state in await self._noted():
            run = self.stages.of(state.mark)
            run.recall(await self._endings.incidents_of(state.mark.run))
            self._playing[state.mark.run] = _Playing(run, state.played)

    async def _noted(self) -> list[_State]:
        found = []
        for word in await self._notes.read(DRILLS_NOTE):
            try:
                found.append(_State.model_validate_json(word))
            except ValidationError:
                _log.error("a drill under way is of another version; its incidents are closed")
        return found

    async def hear(self, _: str) -> None:
        """The runs under way are others by now. Raises Temporary."""
        if self._group is None:
            self._elsewhere = [state.mark for state in await self._noted()]
            self._repository.all_changed()

    async def run(self) -> None:
        """Play what is under way and what is started, until cancelled; then another replica may
        put it together."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group, self._elsewhere = group, []
                for playing in list(self._playing.values()):
                    self._spawn(partial(self._resume, playing))
                self._spawn(self._end_left_over)
                await asyncio.Event().wait()
        finally:
            self._group = None
            self._playing.clear()

    async def _resume(self, playing: _Playing) -> None:
        """Go on with a run that an earlier process left, or end it if it cannot go on as it was, or
        must not."""
        why = "the daemon was stopped, and a part of the script was missed"
        if not self._was_cut(playing):
            why = playing.run.unfit
        if why:
            await self._end(playing, "interrupted", why)
            return
        # Whoever was called for it may have been so by the process before, or between both.
        await self._patiently(partial(self._yield_to_real, playing))
        if not playing.over:
            self._begin(playing)

    async def _yield_to_real(self, playing: _Playing) -> None:
        """End it if its people are called for a real incident. Raises Temporary."""
        _, real = await called_for_real(playing.run.mark.blue, self._repository)
        if real is not None:
            await self._end(playing, "aborted", _for_real(real))

    def _was_cut(self, playing: _Playing) -> bool:
        now, mark = self._repository.clock(), playing.run.mark
        due = [mark.began_at + one.at for one in playing.run.scenario.in_order[playing.played :]]
        return min([*due, playing.run.ends_at]) + _PATIENCE < now

    def _spawn(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None] | None:
        """Work beside the rest; none while the daemon does not run."""
        return None if self._group is None else self._group.create_task(self._guarded(work))

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """A defect of a drill ends nothing but the drill."""
        try:
            await work()
        except (Temporary, Permanent) as error:
            _log.error("a drill cannot go on", error=str(error))
        except Exception:
            _log.exception("a drill crashed")

    def _begin(self, playing: _Playing) -> None:
        playing.task = self._spawn(partial(self._play, playing))

    async def _play(self, playing: _Playing) -> None:
        """Bring about what the script says, each at its time; end when it is over, and whatever
        goes wrong."""
        run = playing.run
        try:
            for inject in run.scenario.in_order[playing.played :]:
                await self._until(playing, inject.at)
                await self._patiently(partial(self._script.bring_about, run, inject))
                playing.played += 1
                await self._patiently(self._note)
            await self._over(playing)
        except FaultFailed as error:
            await self._end(playing, "aborted", str(error))
        except Exception as error:
            _log.exception("a drill crashed", run=run.mark.run)
            text = f"a defect of Stopgap's own: {type(error).__name__}: {error}"
            await self._end(playing, "interrupted", text)
        else:
            await self._end(playing, "finished", "it was played to its end")

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it; while the store fails, again and again."""
        while True:
            try:
                return await work()
            except Temporary as error:
                _log.error("a drill waits for the store", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _end_left_over(self) -> None:
        await self._patiently(partial(self._endings.end_left_over, self._playing.keys()))

    async def _until(self, playing: _Playing, at: timedelta) -> None:
        seconds = (playing.run.mark.began_at + at - self._repository.clock()).total_seconds()
        if seconds > 0:
            await asyncio.sleep(seconds)

    async def _over(self, playing: _Playing) -> None:
        """Wait for the end, or until all incidents are closed."""
        while True:
            playing.news.clear()
            seconds = (playing.run.ends_at - self._repository.clock()).total_seconds()
            incidents = await self._endings.incidents_of(playing.run.mark.run)
            if incidents and all(incident.closed is not None for incident in incidents):
                return
            if seconds <= 0:
                return
            try:
                async with asyncio.timeout(seconds):
                    await playing.news.wait()
            except TimeoutError:
                continue

    # ── the end ──────────────────────────────────────────────────────────────────────────────

    async def _end(self, playing: _Playing, ending: DrillEnding, text: str) -> None:
        """End the run: say so in its incidents, close them, and forget it; while the store fails,
        again and again. A crash meanwhile leaves it to the next start."""
        mark = playing.run.mark
        if playing.over:
            return
        playing.over = True
        playing.run.let_through()
        task = playing.task
        if task is not None and task is not asyncio.current_task():
            task.cancel()
        _log.warning("a drill is over", drill=mark.scenario, run=mark.run, ending=ending, why=text)
        await self._patiently(partial(self._endings.end_run, mark, ending, text))
        self._playing.pop(mark.run, None)
        self.stages.prune(self._playing)
        await self._patiently(self._note)
        playing.gone.set()
        self._repository.all_changed()

    async def _note(self) -> None:
        """Keep what is under way. Raises Temporary."""
        states = [_State(mark=p.run.mark, played=p.played) for p in self._playing.values()]
        await self._notes.write(DRILLS_NOTE, [state.model_dump_json() for state in states])

    # ── what happens beside them ─────────────────────────────────────────────────────────────

    def _heard_of(self, incident: Incident, mark: DrillMark, *, opened: bool) -> None:
        """One of a drill's own incidents has moved on, or opened while the drill was ending."""
        playing = self._playing.get(mark.run)
        if playing is not None:
            playing.news.set()
        if self._group is not None and opened and (playing is None or playing.over):
            text = "it had just ended"
            self._spawn(partial(self._endings.end_incident, incident.id, "finished", text))

    def _on_append(
        self, before: Incident | None, after: Incident, events: Sequence[e.Event]
    ) -> None:
        if after.drill is not None:
            self._heard_of(after, after.drill, opened=before is None)
            return
        called = {event.person for event in events if isinstance(event, _CALLING)}
        for playing in list(self._playing.values()) if called else ():
            if called & set(playing.run.mark.blue) and after.recovered_at is None:
                self._spawn(partial(self._end, playing, "aborted", _for_real(after)))


def _for_real(incident: Incident) -> str:
    """Why a drill ends for it."""
    return f"real incident {incident.id}: {incident.title}"
