"""What the policy says to one change at one moment: which rule, who, how many, and what stands against it. Pure.

bot/approvals asks when a change is shown, when somebody presses and when it is run; `tocsin policy test` prints it.

The first rule that matches decides; nothing else can grant. Limits and freezes then take away. A rule that hangs on a fact
nobody knows stops the search: a later rule is never asked instead. What the risk itself asks for (HIGH: somebody else than
who asked; CRITICAL: two people) stands under every rule and under break-glass.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bot.authority.change import Change, Made, matches, same
from bot.authority.order import rules
from bot.policy import Policy
from bot.policy_changes import BreakGlass, Caps, Match, Rule
from tools.records import Risk

HOUR = timedelta(hours=1)
Kind = Literal["rule", "approvers", "hours", "freeze", "rate", "replicas"]


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: whether it allows the change, and why, as a phrase for people."""

    kind: Kind
    name: str
    holds: bool
    says: str


@dataclass(frozen=True)
class Verdict:
    """What the policy says: *count* of *approvers* must approve; it is allowed now when every check holds."""

    rule: str
    approvers: tuple[str, ...]
    count: int
    requester_may: bool
    checks: tuple[Check, ...]

    @property
    def against(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.holds)

    @property
    def allowed(self) -> bool:
        """Whether somebody could approve and run it now."""
        return not self.against

    @property
    def why_not(self) -> str:
        """Everything that stands against it, as one phrase; "" when nothing does."""
        return "; ".join(check.says for check in self.against)


def least(risk: Risk) -> int:
    """How many different people a change of this risk needs whatever a rule says: two for key systems, else one."""
    return 2 if risk >= Risk.CRITICAL else 1


def decide(policy: Policy, change: Change, at: datetime, made: Sequence[Made] = ()) -> Verdict:
    """Apply the rules to *change* at *at*; *made* are the changes of the hour before."""
    rule, found = _deciding(policy, change, at)
    checks = [found]
    if rule is not None:
        checks += [_approvers(rule), *_hours(rule, at), *_caps(rule.name, rule, rule.caps, change, at, made)]
    for limit in policy.changes.limits:
        if matches(limit, change) is not False:
            checks += _caps(limit.name, limit, limit, change, at, made)
    checks += _freezes(policy, change, at)
    return _verdict(rule, change, checks)


def decide_broken(policy: Policy, change: Change, at: datetime) -> Verdict:
    """Apply break-glass to *change* at *at*: neither rules, hours, freezes nor caps per hour; replicas must still be left."""
    glass = next((one for one in policy.changes.break_glass if matches(one, change)), None)
    if glass is None:
        check = Check("rule", "", False, f"no break_glass of the policy covers {change.action} here")
        return _verdict(None, change, [check])
    checks = [Check("rule", glass.name, True, f'"{glass.name}" covers it'), _approvers(glass)]
    rule, _ = _deciding(policy, change, at)
    held: list[tuple[str, Caps]] = [(rule.name, rule.caps)] if rule else []
    held += [(limit.name, limit) for limit in policy.changes.limits if matches(limit, change) is not False]
    for name, caps in held:
        checks += _replicas(name, caps, change)
    return _verdict(glass, change, checks)


def _verdict(rule: Rule | BreakGlass | None, change: Change, checks: Iterable[Check]) -> Verdict:
    return Verdict(
        rule=rule.name if rule else "",
        approvers=rule.approvers if rule else (),
        count=max(rule.count if rule else 1, least(change.risk)),
        requester_may=change.risk < Risk.HIGH,
        checks=tuple(checks),
    )


def _deciding(policy: Policy, change: Change, at: datetime) -> tuple[Rule | None, Check]:
    """Return the first rule that matches, or none and the reason."""
    for rule in rules(policy):
        if rule.outside_hours == "next" and not rule.open_at(at):
            continue
        found = matches(rule, change)
        if found is None:
            lacking = "labels" if change.about.labels is None and rule.labels else "cluster"
            says = f'whether rule "{rule.name}" decides is not known: the target\'s {lacking} could not be read'
            return None, Check("rule", rule.name, False, says)
        if found:
            says = f'rule "{rule.name}" decides' if rule.allow else f'rule "{rule.name}" never allows it'
            return rule, Check("rule", rule.name, rule.allow, says)
    about = change.about
    where = ", ".join(
        f"{key} {value}"
        for key, value in (("service", about.service), ("namespace", about.namespace), ("cluster", about.cluster))
        if value
    )
    says = f"no rule allows {change.action}" + (f" ({where})" if where else "") + ": what no rule allows is denied"
    return None, Check("rule", "", False, says)


def _approvers(rule: Rule | BreakGlass) -> Check:
    if rule.approvers:
        return Check("approvers", rule.name, True, f"{', '.join(rule.approvers)} may approve")
    return Check("approvers", rule.name, False, f'"{rule.name}" names nobody who may approve')


def _hours(rule: Rule, at: datetime) -> list[Check]:
    if rule.hours is None:
        return []
    holds = rule.open_at(at)
    when = " or ".join(window.words() for window in rule.hours) or "never"
    says = f'rule "{rule.name}" allows it {when} only' if not holds else f"within its hours ({when})"
    return [Check("hours", rule.name, holds, says)]


def _freezes(policy: Policy, change: Change, at: datetime) -> list[Check]:
    """Return the freezes that are on; one that may be about the change counts."""
    return [
        Check("freeze", one.name, False, f'change freeze "{one.name}" is on ({one.words()})')
        for one in policy.changes.freezes
        if one.covers(at) and matches(one, change) is not False
    ]


def _caps(name: str, match: Match, caps: Caps, change: Change, at: datetime, made: Sequence[Made]) -> list[Check]:
    checks = _replicas(name, caps, change)
    if caps.per_hour is not None:
        count = sum(
            at - HOUR < one.at <= at and matches(match, one.change) is not False and same(caps.per, change, one.change)
            for one in made
        )
        per = "" if caps.per == "all" else f" per {caps.per}"
        says = f'"{name}": {count} of at most {caps.per_hour} changes an hour{per} were made'
        checks.append(Check("rate", name, count < caps.per_hour, says))
    return checks


def _replicas(name: str, caps: Caps, change: Change) -> list[Check]:
    about = change.about
    if caps.min_replicas is None or not about.takes_pods:
        return []
    if about.leaves is None:
        says = f'"{name}": at least {caps.min_replicas} pods must stay, and how many would is not known'
        return [Check("replicas", name, False, says)]
    says = f'"{name}": {about.leaves} pods would be sure to stay, at least {caps.min_replicas} must'
    return [Check("replicas", name, about.leaves >= caps.min_replicas, says)]
