"""Whatever collects things as long as the daemon lives has a bound, and this is where it is said.

A daemon runs for months. A dictionary that is keyed by incidents, alerts, clients or addresses and
never forgets one grows without anybody noticing until memory is gone. So each collection that an
object holds is listed here with what bounds it; a new one fails this test until somebody has
thought about that. `tests/stories/test_thirty_days.py` proves it for what the stage plays.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TREE = Path(__file__).resolve().parents[1]
ROOMS = (
    *("adapters", "app", "conduct", "diagnosing", "drilling", "intake", "measuring"),
    *("notifying", "recovering", "reporting", "telemetry", "watching", "web"),
)
_COLLECTIONS = {
    *("dict", "set", "list", "deque", "OrderedDict", "Counter", "defaultdict", "Queue"),
    *("WeakValueDictionary", "WeakKeyDictionary", "WeakSet"),
}

ONE_CALL = {
    "Call",  # of the web: a request
    "Concern",  # a delivery
    "HttpProblem",  # an answer
    "IncidentAuditor",  # an audit
    "LabelledCounts",  # a dossier
    "QueryParser",  # a command of the command line
    "Replay",  # an audit
    "Survey",  # a measurement
    "Unblocker",  # an attempt of a step
    "WorkloadRevision",  # a revision that was read
    "_Gathering",  # a dossier
    "_Walk",  # a look at a label's past
}
"""Classes whose objects are gone with what they were made for."""
CONFIGURED = {
    "HttpAccess.headers",
    "StatusReport.peers",
    "WebContext.actions",
    "Workshop._shared",
    "Workshop.clusters",
    "Workshop.options",
}
"""As much as the settings name."""
BOUNDS = {
    "AppendTracker._ends": "open incidents, and closed ones that have grown",
    "AppendTracker._own": "appends that the store has not told of yet",
    "ApiConnection._old": "closed and emptied when its requests have ended",
    "AutonomyKeeper._looked_at": "the incidents of the decisions in `_records`, renewed at a look",
    "AutonomyKeeper._records": "a rule each; its decisions are the newest that are weighed",
    "AutonomyKeeper._standing": "a rule each",
    "AutonomyKeeper._written": "a rule each",
    "Bounded._known": "at most `most` words",
    "Calendars._alarmed": "a schedule each",
    "Calendars._calm": "a schedule each",
    "Calendars._passed_over": "a schedule of the roster each",
    "Calendars.shifts": "a schedule of the roster each",
    "Calendars.troubles": "a schedule of the roster each",
    "ChangeCounter._of": "MOST_REMEMBERED, the newest",
    "ClusterClient._others": "a cluster of the settings each",
    "Condition._unreadable": "a kind of fault each",
    "Condition._unwritable": "a kind of fault each",
    "Conductor._conducted": "what is conducted; leaves at its end",
    "Conductor._drilling": "drills that are conducted; leave at their end",
    "Conductor._flights": "what is conducted; leaves at its end",
    "Conductor._outward": "effects under way",
    "Connections._by_protocol": "open connections, of which there are `connections.max`",
    "Connections._of": "addresses of open connections",
    "DaemonThreads._jobs": "calls that somebody waits for, or has given up on",
    "Database.failures": "listeners, made once",
    "Database.listeners": "listeners, made once",
    "DebtsFile._retained": "what was read at the start",
    "Desk._ended": "MOST_REPORTS",
    "DossierGatherer._unwritten": "what the store has not taken; written at the next turn",
    "DrillStages._makers": "a scenario each",
    "DrillStages._own": "a rule of the daemon's own each",
    "DrillStages._set": "runs under way",
    "Drills._playing": "runs under way",
    "EmergencyCalls._failed_at": "a person each; emptied when the store is well",
    "EmergencyCalls._notices": "a kind of trouble and a person each; emptied when it is well",
    "EventStreams._open": "people with an open page",
    "Executor._dry_runs": "dry runs under way",
    "Executor._turns": "a server of the settings each",
    "FileArchive._lines": "the incidents that are being archived",
    "Files._opened": "a file of the store each",
    "Flow._asked": "a server of the settings each",
    "FollowUpKeeper._open_there": "follow-ups of incidents that have one open, at each look",
    "Foresight._begun": "incidents that opened within the last second",
    "HelpPages._read": "a guide each",
    "IncidentPage._charts": "MOST_CHARTS",
    "IncidentRepository._bells": "what is conducted; goes by `leave`",
    "IncidentRepository._known": "open incidents",
    "IncidentRepository._locks": "locks that somebody holds or waits for, by weak references",
    "IncidentRepository.attempts": "pages that are being delivered",
    "IncidentRepository.listeners": "listeners, made once",
    "IncidentRepository.onlookers": "listeners, made once",
    "IncidentRepository.opening_listeners": "listeners, made once",
    "IncidentRepository.opened": "what the conductor has not begun yet",
    "Intake._parsed": "deliveries that are not dispatched yet; `inbox.max_pending`",
    "Intake.listeners": "listeners, made once",
    "LabelValues._full": "a rule each",
    "LabelValues._known": "a rule each, with as many values as are remembered",
    "LabelValues._silent": "a rule each",
    "LabelValues._written": "a rule each",
    "LastLook._measured": "measurements of the last second",
    "LastWordKeeper._owing": "incidents whose last word is owed",
    "LastWordKeeper._rests": "audiences of incidents whose last word is owed, at each look",
    "Listener._beginning": "open connections, of which there are `connections.max`",
    "Liveness._tasks": "the daemon's parts",
    "MaintenanceKeeper._told": "windows that are listed and their audiences",
    "OncallDesk._swaps": "swaps that can still be answered, at each question",
    "OpenIdProvider._about": "what one provider says of itself",
    "Progress._kinds": "reads and writes",
    "Promoter._waiting": "incidents that opened and were not looked at yet",
    "Pulse._conducted": "what is conducted; leaves at its end",
    "Pulse._turning": "what is being decided on; leaves at the end of the turn",
    "QuerySession._common": "the few addresses of its server, with either method",
    "Receivers._came_by": "a receiver that posts to us each, with the newest 1000 alerts",
    "RecentOpenings._recent": "what opened within `recovery.storm_window` before the last opening",
    "Reconciler._over": "what Alertmanager lists, at each look",
    "Reconciler._silent": "a peer of the settings each",
    "Reconciler._taken": "what Alertmanager lists, at each look",
    "RoomIndex._closed": "MOST_ROOMS, the newest",
    "Seldom._by_key": "REMEMBERED_KEYS",
    "SelfReceiver.incidents": "the incidents of one self-drill",
    "SightingCache._known": "MOST_SIGHTINGS",
    "SqlInbox._at_hand": "MOST_AT_HAND, the newest; forgotten with the deliveries",
    "SqlInbox._waiting": "`inbox.max_pending`",
    "StatusPageKeeper._parts": "`status_page.history` and a month, and what goes on",
    "StormKeeper._storm_of": "members of storms that go on",
    "StormKeeper._storms": "storms that go on",
    "Throttle._tries": "the newest that were tried",
    "Veterans._by_rule": "a rule each, and who has executed its plan",
    "Watchdog._suspected": "open incidents, at each look",
    "Watcher._silent": "targets that are there, at each round",
    "Watcher._watches": "MOST_WATCHES",
    "WriteQueue._waiting": "transactions that somebody waits for",
    "Flight.resting": "effects of an incident that is conducted",
    "Flight.tasks": "effects of an incident that is conducted",
    "_Gathered.closed": "members of a storm that goes on",
    "_Gathered.members": "members of a storm that goes on",
    "_Gathered.seen": "members of a storm that goes on",
    "_Rests.failures": "follow-ups of incidents that have one open, at each look",
    "OwedAppends._owed": "what the store has not taken",
    "_Rests.until": "follow-ups of incidents that have one open, at each look",
    "Conductor._given_up": "what is conducted and was given up; leaves at its end",
    "Drills._elsewhere": "runs that another replica plays, at each look",
    "IncidentRepository.own_listeners": "listeners, made once",
    "IncidentRepository.position_listeners": "listeners, made once",
    "LeaseKeeper._owned": "incidents that are ours; leave when they are closed and done with",
    "LeaseKeeper._wanted": "incidents that are to be claimed; leave when they are",
    "NewsKeeper._unheard": "what is read again at the next look",
}
"""Class.attribute → what bounds it."""


def test_every_collection_has_a_bound() -> None:
    found = set(_collections())
    thoughtless = {one for one in found if one not in BOUNDS and one not in CONFIGURED}
    assert sorted(thoughtless) == [], "say in BOUNDS what keeps it from growing without end"


def test_nothing_is_listed_that_is_gone() -> None:
    gone = (BOUNDS.keys() | CONFIGURED) - set(_collections())
    assert sorted(gone) == []


def test_a_new_collection_is_found() -> None:
    source = "class K:\n def __init__(self):\n  self._by_client: dict[str, int] = {}\n"
    assert list(_of_module(ast.parse(source))) == ["K._by_client"]
    assert "K._by_client" not in BOUNDS


def _collections() -> Iterator[str]:
    """Every attribute that begins as an empty collection, as Class.attribute."""
    files = [*(TREE / "daemon").glob("*.py"), *(TREE / "recovery_actions").rglob("*.py")]
    for room in ROOMS:
        files += sorted((TREE / "daemon" / room).rglob("*.py"))
    for file in files:
        yield from _of_module(ast.parse(file.read_text(encoding="utf-8")))


def _of_module(module: ast.Module) -> Iterator[str]:
    for one in ast.walk(module):
        if isinstance(one, ast.ClassDef) and one.name not in ONE_CALL:
            for node in ast.walk(one):
                name = _attribute(node, one)
                if name and _begins_empty(node):
                    yield f"{one.name}.{name}"


def _attribute(node: ast.AST, owner: ast.ClassDef) -> str:
    """What is assigned to: an attribute of the object, or a field of its class."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return ""
    if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
        return target.attr if target.value.id == "self" else ""
    return target.id if isinstance(target, ast.Name) and node in owner.body else ""


def _begins_empty(node: ast.AST) -> bool:
    value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
    match value:
        case ast.Dict(keys=[]) | ast.List(elts=[]):
            return True
        case ast.Call(func=ast.Name(id="field"), keywords=keywords):
            made = (word.value for word in keywords if word.arg == "default_factory")
            return any(isinstance(one, ast.Name) and one.id in _COLLECTIONS for one in made)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
            return name in _COLLECTIONS and (name == "defaultdict" or not arguments)
    return False
