"""What people and trackers are told of a follow-up."""

from __future__ import annotations

from datetime import date

from daemon.core.incident.learning import FollowUp
from daemon.core.ports.notification import Reminder
from daemon.core.ports.trackers import IssueDraft


def reminder(incident: str, follow_up: FollowUp, today: date, link: str) -> Reminder:
    """The words of a reminder."""
    due = follow_up.due or today
    when = "today" if due == today else f"on {due}" if due > today else f"since {due}"
    number = follow_up.number
    where = f"\nIts issue: {follow_up.url}" if follow_up.url else ""
    return Reminder(
        incident=incident,
        person=follow_up.owner,
        title=f"Follow-up due {when}: {follow_up.title}",
        text=(
            f"Your follow-up {number} of incident {incident} is due {when}: {follow_up.title}"
            f"{where}\nDone? `stopgap follow-up done {incident} {number}`. Another day? "
            f"`stopgap follow-up change {incident} {number} --due DAY`."
        ),
        link=link,
    )


def issue_draft(incident: str, follow_up: FollowUp, link: str) -> IssueDraft:
    """The issue that a follow-up becomes. Labels and annotations of alerts have no place in it:
    others wrote them, and trackers make links and mentions of what they are given."""
    return IssueDraft(
        marker=f"stopgap-{incident}-{follow_up.number}",
        title=follow_up.title,
        text=f"Follow-up {follow_up.number} of incident {incident}, from its review.",
        incident=incident,
        follow_up=follow_up.number,
        owner=follow_up.owner,
        due=follow_up.due,
        link=link,
    )
