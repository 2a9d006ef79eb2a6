"""What `stopgap check` tells beside the mistakes in rule files: what they meet here."""

from __future__ import annotations

from daemon import app
from daemon.app.notifiers import missing_ways
from daemon.config.rules_folder import ROSTER, Ruleset
from daemon.config.secrets import missing_secrets
from daemon.config.settings import Settings, environment
from daemon.core.people.roster import Roster
from daemon.core.rules.known_names import same_on_two_servers
from daemon.core.rules.label_values import undiscoverable
from daemon.core.values.yaml_document import FileMistake


def surprising(ruleset: Ruleset) -> list[FileMistake]:
    """What works, but not as people would expect."""
    told = (
        (document, undiscoverable(rule, app.listing_watches())) for rule, document in ruleset.rules
    )
    found = [document.mistake(("changes",), text) for document, text in told if text]
    documents = {rule.rule: document for rule, document in ruleset.rules}
    shared = same_on_two_servers([rule for rule, _ in ruleset.rules])
    return [*found, *(documents[r.rule].mistake(("changes",), text) for r, text in shared)]


def refused_addresses(ruleset: Ruleset, settings: Settings) -> list[FileMistake]:
    """The addresses by which no daemon starts, as mistakes of the settings, which may allow them.
    Those in secrets that are not here are left to `stopgap doctor`, which resolves names, too."""
    secret = app.secret_reader(settings, environment())
    refused = app.literal_refusals(settings, ruleset.roster, secret)
    return [
        FileMistake(file=str(settings.origin), line=0, place="", text=str(one)) for one in refused
    ]


def uninstalled_ways(ruleset: Ruleset, settings: Settings) -> list[FileMistake]:
    """The ways to people for which nothing is installed here: no daemon starts with them."""
    found = missing_ways(ruleset.roster) if ruleset.roster is not None else ()
    file = str(settings.rules_dir / ROSTER)
    return [FileMistake(file=file, line=0, place=place, text=text) for place, text in found]


def unreadable_secrets(ruleset: Ruleset, settings: Settings) -> list[FileMistake]:
    """The secrets without which no daemon starts here. Where rules are checked, as in CI, they need
    not be; so they are no mistakes."""
    named: dict[str, Settings | Roster | None] = {
        str(settings.origin): settings,
        str(settings.rules_dir / ROSTER): ruleset.roster,
    }
    return [
        FileMistake(file=file, line=0, place=one.place, text=f"{one.why} ({one.mend})")
        for file, given in named.items()
        if given is not None
        for one in missing_secrets(given, environment(), settings)
    ]
