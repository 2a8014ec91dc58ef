"""Which sets of rules can match one change, over every change there could be; for lint.py. Pure.

A change is an action with a base risk, a namespace or none, a service that the policy declares or none, a cluster, labels.
Values that no rule tells apart are one value. Each value is known by the rules it fits, as a number with one bit a rule; what
a change fits is the bits that all its values share. So the work grows with the different sets of rules, not with the product
of the values.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.authority.patterns import witnesses
from bot.policy import Policy
from bot.policy_changes import RISKS, Match
from tools.records import Risk


@dataclass(frozen=True)
class Kind:
    """What can be done: an action's base *risk*, and whether its target is in a namespace."""

    risk: Risk
    namespaced: bool = True


@dataclass(frozen=True)
class Reach:
    """The sets of matching rules (bits, the first rule lowest) by action, risk and service ("" for no declared one)."""

    sets: Mapping[tuple[str, Risk, str], frozenset[int]]

    def all(self) -> frozenset[int]:
        """Return every set that some change has."""
        return frozenset().union(*self.sets.values()) if self.sets else frozenset()


def reach(policy: Policy, rules: Sequence[Match], actions: Mapping[str, Kind], optional: Iterable[int] = ()) -> Reach:
    """Return which sets of *rules* some change matches; *optional* are rules that may at times not match all the same.

    Raises TooManyError when the patterns are too many to be looked at exactly.
    """
    full = (1 << len(rules)) - 1
    anywhere = _combined([full], _clusters(policy, rules), *_labels(rules))
    for number in optional:
        anywhere |= {bits & ~(1 << number) for bits in anywhere}
    spaces = _spaces(rules)
    services = {name: _bits(rules, "services", name) for name in ("", *policy.services)}
    sets: dict[tuple[str, Risk, str], frozenset[int]] = {}
    for action, kind in actions.items():
        by_action = _bits(rules, "changes", action)
        for risk in Risk:
            if risk < kind.risk:
                continue
            here = by_action & _of_risk(rules, risk)
            for service, by_service in services.items():
                places = _places(policy, service, spaces, namespaced=kind.namespaced)
                found = {here & by_service & _bits(rules, "namespaces", place) for place in places}
                if found:
                    sets[action, risk, service] = frozenset(_combined(anywhere, found))
    return Reach(sets)


def _places(policy: Policy, service: str, spaces: Sequence[str], *, namespaced: bool) -> Sequence[str]:
    """Return the namespaces in which a change to *service* could be; a node is in none and belongs to no service."""
    if not namespaced:
        return [] if service else [""]
    declared = policy.services[service].namespace if service else ""
    return [declared] if declared else spaces


def _spaces(rules: Sequence[Match]) -> list[str]:
    return witnesses(_globs(globs for rule in rules for globs in rule.namespaces))


def _clusters(policy: Policy, rules: Sequence[Match]) -> set[int]:
    declared = list(policy.clusters)
    names = declared or witnesses(_globs(glob for rule in rules for glob in rule.clusters))
    return {_bits(rules, "clusters", name) for name in names}


def _labels(rules: Sequence[Match]) -> list[set[int]]:
    """Return, for each label that a rule names, the sets of rules that its absence and its values fit."""
    dimensions = []
    for label in sorted({label for rule in rules for label in rule.labels}):
        values = witnesses(_globs(glob for rule in rules for glob in rule.labels.get(label, ())))
        absent = sum(1 << n for n, rule in enumerate(rules) if label not in rule.labels)
        found = {absent}
        for value in ("", *values):
            found.add(sum(1 << n for n, rule in enumerate(rules) if _fits_label(rule, label, value)))
        dimensions.append(found)
    return dimensions


def _fits_label(rule: Match, label: str, value: str) -> bool:
    return label not in rule.labels or any(glob.fullmatch(value) for glob in rule.label_patterns[label])


def _bits(rules: Sequence[Match], key: str, value: str) -> int:
    return sum(1 << n for n, rule in enumerate(rules) if any(glob.fullmatch(value) for glob in rule.patterns[key]))


def _of_risk(rules: Sequence[Match], risk: Risk) -> int:
    return sum(1 << n for n, rule in enumerate(rules) if RISKS[risk - 1] in rule.risks)


def _globs(globs: Iterable[str]) -> list[str]:
    return sorted(set(globs))


def _combined(start: Iterable[int], *dimensions: set[int]) -> set[int]:
    found = set(start)
    for values in dimensions:
        found = {bits & value for bits in found for value in values}
    return found
