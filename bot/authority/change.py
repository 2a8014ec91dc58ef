"""A change as the policy's rules see it, and whether something matches it; for bot/authority/*. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.policy_changes import Match, Per
from tools.records import ChangeTarget, Proposal, Risk


@dataclass(frozen=True)
class Change:
    """What shall be done to what; *target* is the object's name as its card says it, the rest as in ChangeTarget."""

    action: str
    target: str = ""
    about: ChangeTarget = field(default_factory=ChangeTarget)
    risk: Risk = Risk.MEDIUM
    requested_by: str = ""


@dataclass(frozen=True)
class Made:
    """A change that was carried out, or is being carried out, at that moment."""

    at: datetime
    change: Change


def of_proposal(proposal: Proposal) -> Change:
    """Return what a proposal would do."""
    return Change(proposal.action, proposal.plan.target, proposal.about, proposal.risk, proposal.requested_by)


def matches(match: Match, change: Change) -> bool | None:
    """Whether *match* is about *change*; None when that hangs on a fact which is not known."""
    about = change.about
    if change.risk.name.lower() not in match.risks:
        return False
    named = {"changes": change.action, "namespaces": about.namespace, "services": about.service}
    if not all(any(glob.fullmatch(value) for glob in match.patterns[key]) for key, value in named.items()):
        return False
    cluster = _cluster(match, about.cluster)
    labels = _labels(match, about.labels)
    if cluster is False or labels is False:
        return False
    return None if cluster is None or labels is None else True


def _cluster(match: Match, cluster: str) -> bool | None:
    if "*" in match.clusters:
        return True
    if not match.clusters or cluster:
        return any(glob.fullmatch(cluster) for glob in match.patterns["clusters"])
    return None


def _labels(match: Match, labels: Mapping[str, str] | None) -> bool | None:
    if any(not globs for globs in match.labels.values()):
        return False
    if labels is None:
        return None if match.labels else True
    return all(
        label in labels and any(glob.fullmatch(labels[label]) for glob in globs)
        for label, globs in match.label_patterns.items()
    )


def same(per: Per, one: Change, other: Change) -> bool:
    """Whether two changes count together under a cap *per* something; a name that is not known counts with every other."""
    if per == "all":
        return True
    a, b = _key(per, one), _key(per, other)
    return a == b or not a or not b


def _key(per: Per, change: Change) -> str:
    about = change.about
    if per == "target":
        return f"{about.cluster} {change.target}" if change.target else ""
    return {"service": about.service, "namespace": about.namespace, "cluster": about.cluster}.get(per, "")
