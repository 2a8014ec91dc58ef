"""Which alerts are one trouble: Alertmanager's own groups where it says so, else by service, time and shared labels.

The choice depends on what the alerts say (names, labels, start times), not on when they arrive, so order, duplication and
delay of deliveries do not change it: tests/integration/bot/test_admission.py has the exact claim and its proof.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from bot.admission.model import Candidate, Decision, Ended, Group
from tools.records import Alert

# Two alerts that disagree on one of these are about different places.
PLACES = ("cluster", "namespace", "region", "environment", "env", "stage", "tenant", "datacenter")
# What says nothing about a shared cause.
OWN = frozenset({"alertname", "severity", "instance", "pod", "container", "endpoint", "uid", "__name__"})
# Alerts without a service share a cause when at least this many, and half, of their label pairs are the same: our choice.
SHARED_PAIRS, SHARED_PART = 2, 0.5


def choose(candidate: Candidate) -> Group | None:
    """Return the open or waiting group that the alert belongs to."""
    found = _found(candidate)
    return found[0] if found else None


def decide(candidate: Candidate) -> Decision | None:
    """Join an open incident; join a waiting group, which ends its waiting when the alert is critical."""
    found = _found(candidate)
    if found is None:
        return None
    home, why = found
    if home.incident_id is not None:
        return Decision("join", why, group=home)
    if candidate.urgent:
        return Decision("open", "opened", group=home)
    return Decision("wait", why, group=home)


def _found(candidate: Candidate) -> tuple[Group, str] | None:
    alert, groups = candidate.alert, candidate.facts.groups
    if candidate.forced:
        return _first([one for one in groups if one.key == candidate.forced], "same_message")
    if candidate.facts.known:
        return _first(groups, "same_alert")
    if alert.sender == "person":
        return _first([one for one in groups if one.key == candidate.key], "same_alert")
    told = [one for one in groups if alert.group_key and alert.group_key in one.group_keys]
    ours = [one for one in groups if _open_to(candidate, one)]
    same = [one for one in ours if is_same(candidate, one)]
    if told or same or alert.group_key:  # a key of Alertmanager's that is new names a group of its own
        return _first(told, "same_group") or _first(same, "same_alert")
    near = [one for one in ours if _near(candidate, one) and not _apart(alert.labels, one.alert.labels)]
    if alert.service:
        return _first([one for one in near if one.alert.service == alert.service], "same_service")
    return _first(
        [one for one in near if not one.alert.service and _share(alert.labels, one.alert.labels)], "shared_labels"
    )


def is_same(candidate: Candidate, group: Group) -> bool:
    """Say whether a group is about the same alert name and the same service, or namespace where there is no service."""
    if group.alert.sender == "person" or not _open_to(candidate, group):
        return group.key == candidate.key
    return group.key == candidate.key or _alike(candidate.alert, group.alert)


def last(candidate: Candidate) -> Ended | None:
    """Return the last incident of this very alert or group that is over."""
    return next((one for one in candidate.facts.ended if one.same), None)


def overlapping(candidate: Candidate, until: datetime | None = None) -> Ended | None:
    """Return an incident, over when this arrived, that was under way when the alert began (and until it ended)."""
    for one in candidate.facts.ended:
        met = candidate.at <= one.at and (until is None or one.started_at <= until)
        if met and (one.same or (candidate.exact and _akin(candidate, one))):
            return one
    return None


def _akin(candidate: Candidate, ended: Ended) -> bool:
    group = Group(ended.key, ended.alert, ended.started_at)
    apart = _apart(candidate.alert.labels, ended.alert.labels)
    return not candidate.alert.group_key and _near(candidate, group) and not apart


def _first(groups: Sequence[Group], why: str) -> tuple[Group, str] | None:
    return (groups[0], why) if groups else None


def _open_to(candidate: Candidate, group: Group) -> bool:
    """Say whether a group may take the alert: not a person's question, and not another group of Alertmanager's."""
    return group.alert.sender != "person" and not (candidate.alert.group_key and group.group_keys)


def _alike(alert: Alert, other: Alert) -> bool:
    return (alert.name, alert.service or alert.namespace) == (other.name, other.service or other.namespace)


def _near(candidate: Candidate, group: Group) -> bool:
    return abs(candidate.at - group.started_at) <= timedelta(minutes=candidate.grouping.window_minutes)


def _apart(labels: Mapping[str, str], others: Mapping[str, str]) -> bool:
    return any(labels[name] != others[name] for name in PLACES if name in labels and name in others)


def _share(labels: Mapping[str, str], others: Mapping[str, str]) -> bool:
    mine = {pair for pair in labels.items() if pair[0] not in OWN}
    theirs = {pair for pair in others.items() if pair[0] not in OWN}
    both = len(mine & theirs)
    return both >= SHARED_PAIRS and both >= SHARED_PART * len(mine | theirs)
