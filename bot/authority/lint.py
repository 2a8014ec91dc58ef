"""What is wrong with a policy that can be read: rules that never match or are hidden, writes nobody can approve. Pure.

`tocsin policy lint` prints it, `tocsin doctor` warns with it. Exact over every change there could be (reach.py), at any time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bot.authority.decide import least
from bot.authority.order import rules as rules_of
from bot.authority.patterns import TooManyError
from bot.authority.reach import Kind, Reach, reach
from bot.policy import Policy, did_you_mean
from bot.policy_changes import ONCALL, BreakGlass, Match, Rule
from bot.policy_times import Hours
from tools.records import Risk

Trouble = Literal["never", "hidden", "nobody", "count", "hours", "past", "unreadable", "too_many"]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: *where* in tocsin.yaml, and a sentence with the remedy."""

    trouble: Trouble
    where: str
    says: str


def lint(policy: Policy, actions: Mapping[str, Kind], at: datetime) -> list[Finding]:
    """Return what is wrong with *policy* at *at*, given the *actions* there are; [] when nothing is."""
    rules = rules_of(policy)
    found = [*_hours(policy), *_counts(rules), *_past(policy, at)]
    try:
        found += _matching(policy, rules, actions)
    except TooManyError:
        says = "the patterns are too many to be checked exactly; use fewer wildcards"
        found.append(Finding("too_many", "changes", says))
    return found


def _matching(policy: Policy, rules: Sequence[Rule], actions: Mapping[str, Kind]) -> list[Finding]:
    optional = [n for n, rule in enumerate(rules) if rule.outside_hours == "next" and rule.hours is not None]
    reached = reach(policy, rules, actions, optional)
    found = _never_or_hidden(rules, reached, actions)
    others: list[tuple[str, Match]] = [
        *((f'changes.limits "{one.name}"', one) for one in policy.changes.limits),
        *((f'changes.freezes "{one.name}"', one) for one in policy.changes.freezes),
        *((f'changes.break_glass "{one.name}"', one) for one in policy.changes.break_glass),
    ]
    for where, one in others:
        if not any(reach(policy, [one], actions).all()):
            found.append(Finding("never", where, _why_never(one, actions)))
    return found + _nobody(policy, rules, reached, actions)


def _never_or_hidden(rules: Sequence[Rule], reached: Reach, actions: Mapping[str, Kind]) -> list[Finding]:
    sets = reached.all()
    found = []
    for number, rule in enumerate(rules):
        bit = 1 << number
        matching = [bits for bits in sets if bits & bit]
        if not matching:
            found.append(Finding("never", where_of(rule), _why_never(rule, actions)))
        elif not any(_first(bits) == number for bits in matching):
            before = sorted({_first(bits) for bits in matching})
            names = ", ".join(f'"{rules[first].name}"' for first in before)
            says = (
                f"is never asked: {names} before it decides everything it matches; move it up, or narrow what hides it"
            )
            found.append(Finding("hidden", where_of(rule), says))
    return found


def _why_never(rule: Match, actions: Mapping[str, Kind]) -> str:
    empty = [key for key in ("changes", "clusters", "namespaces", "services", "risks") if not getattr(rule, key)]
    empty += [f"labels.{label}" for label, globs in rule.labels.items() if not globs]
    if empty:
        return f"never matches: {', '.join(empty)} is an empty list; leave the key out to match all"
    unknown = [
        glob
        for glob, pattern in zip(rule.changes, rule.patterns["changes"], strict=True)
        if not any(pattern.fullmatch(action) for action in actions)
    ]
    if unknown and len(unknown) == len(rule.changes):
        return f'never matches: there is no change called "{unknown[0]}"; {did_you_mean(unknown[0], actions)}'
    return "never matches: no change fits all of its keys at once (services are those of the policy, each in its namespace)"


def _nobody(policy: Policy, rules: Sequence[Rule], reached: Reach, actions: Mapping[str, Kind]) -> list[Finding]:
    """Name the writes that nobody can approve anywhere, and those of a declared service; what a rule forbids is meant so."""
    writes = [action for action, kind in actions.items() if kind.risk > Risk.LOW]
    closed = [action for action in writes if not _some(reached, rules, action)]
    found = []
    if closed:
        every = "any change" if len(closed) == len(writes) else ", ".join(closed)
        says = f"nobody can approve {every}; name approvers in a rule, or say that it is meant so (allow: false)"
        found.append(Finding("nobody", "changes", says))
    for service in policy.services:
        shut = [
            action
            for action in writes
            if action not in closed
            and any(key[0] == action and key[2] == service for key in reached.sets)
            and not _some(reached, rules, action, service)
        ]
        if shut:
            says = f"nobody can approve {', '.join(shut)} there; name approvers in a rule, or say allow: false"
            found.append(Finding("nobody", f"services.{service}", says))
    return found


def _some(reached: Reach, rules: Sequence[Rule], action: str, service: str | None = None) -> bool:
    """Whether *action* can be approved by somebody somewhere (on *service*), or is forbidden by a rule that says so."""
    return any(
        bits and (not rules[_first(bits)].allow or _enough(rules[_first(bits)], risk))
        for (done, risk, to), sets in reached.sets.items()
        if done == action and service in (None, to)
        for bits in sets
    )


def _enough(rule: Rule, risk: Risk) -> bool:
    most = countable(rule.approvers)
    return bool(rule.approvers) and (most is None or most >= max(rule.count, least(risk)))


def countable(entries: Sequence[str]) -> int | None:
    """Return how many people *entries* are; None when a group or an on-call list is among them."""
    if any(entry.startswith(("S", ONCALL)) for entry in entries):
        return None
    return len(set(entries))


def _counts(rules: Sequence[Rule]) -> list[Finding]:
    found = []
    for rule in rules:
        most = countable(rule.approvers)
        if not rule.allow or most is None:
            continue
        if not most:
            says = "names nobody, so what it decides nobody can approve; name approvers, or write allow: false"
            found.append(Finding("nobody", where_of(rule), says))
        elif most < rule.count:
            says = f"asks for {rule.count} people and names {most}; name more, or lower count"
            found.append(Finding("count", where_of(rule), says))
        elif most < least(Risk.CRITICAL) and "critical" in rule.risks:
            says = f"a CRITICAL change takes two different people and it names {most}; name more, or leave critical out of risks"
            found.append(Finding("count", where_of(rule), says))
    return found


def _hours(policy: Policy) -> list[Finding]:
    found = []
    for rule in policy.changes.rules:
        if rule.hours is not None and not any(window.days for window in rule.hours):
            says = "has impossible hours: no day is named, so it never allows anything; leave hours out for any time"
            found.append(Finding("hours", where_of(rule), says))
    for one in policy.changes.freezes:
        if isinstance(one.weekly, Hours) and not one.weekly.days:
            says = "has impossible hours: no day is named, so it never begins"
            found.append(Finding("hours", f'changes.freezes "{one.name}"', says))
    return found


def _past(policy: Policy, at: datetime) -> list[Finding]:
    return [
        Finding("past", f'changes.freezes "{one.name}"', f"is over ({one.words()}); remove it, or give it new dates")
        for one in policy.changes.freezes
        if one.over(at)
    ]


def where_of(rule: Rule | BreakGlass) -> str:
    """Return where a rule stands; those of the short form are named after their key."""
    return rule.name if rule.name.startswith("approvers.") else f'changes.rules "{rule.name}"'


def _first(bits: int) -> int:
    """Return the number of the lowest rule among *bits* (not 0)."""
    return (bits & -bits).bit_length() - 1
