"""Alerting rules: evaluated after each scrape, pending for a while, then firing; owned by the world."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any
from urllib.parse import quote_plus

import yaml

from drill.formats import number
from drill.metrics.promql import Query, parse
from drill.metrics.series import Labels, Scrape, Storage
from drill.metrics.values import NAME

_FIELD = re.compile(r"\{\{\s*\$(labels\.(\w+)|value)\s*(?:\|\s*(\w+)\s*)?\}\}")


@dataclass
class Alert:
    """One active alert of a rule; times in epoch seconds."""

    labels: dict[str, str]
    annotations: dict[str, str]
    value: float
    active_at: float
    state: str = "pending"
    fired_at: float = 0.0
    held_at: float = 0.0


@dataclass
class Rule:
    """One alerting rule; *hold* is its ``for`` and *keep* its ``keep_firing_for``, in seconds."""

    name: str
    expr: str
    hold: float
    labels: dict[str, str]
    annotations: dict[str, str]
    group: str
    tree: Any
    keep: float = 0.0
    active: dict[Labels, Alert] = field(default_factory=dict)
    evaluated_at: float = 0.0
    took: float = 0.0

    @property
    def state(self) -> str:
        """``inactive``, ``pending`` or ``firing``."""
        states = {alert.state for alert in self.active.values()}
        return "firing" if "firing" in states else ("pending" if states else "inactive")

    def evaluate(self, storage: Storage, now: float) -> None:
        """Bring the active alerts up to date."""
        at = round(now * 1000)
        value = Query(storage, self.tree, at, at).instant()
        found = value if isinstance(value, list) else [((), value)] if isinstance(value, float) else []
        seen = {}
        for pairs, sample in found:
            labels = {k: v for k, v in pairs if k != NAME} | self.labels | {"alertname": self.name}
            key = tuple(sorted(labels.items()))
            alert = self.active.get(key) or Alert(labels, {}, sample, now)
            alert.value, alert.held_at = sample, now
            alert.annotations = {k: expand(text, labels, sample) for k, text in self.annotations.items()}
            if alert.state == "pending" and now - alert.active_at >= self.hold:
                alert.state, alert.fired_at = "firing", now
            seen[key] = alert
        for key, alert in self.active.items():
            if key not in seen and alert.state == "firing" and now - alert.held_at < self.keep:
                seen[key] = alert
        self.active, self.evaluated_at = seen, now


class Rules:
    """All rules of the practice Prometheus."""

    def __init__(self, rules: list[Rule]) -> None:
        self.rules = rules
        self._written: Scrape | None = None

    def evaluate(self, storage: Storage, now: float) -> None:
        """Evaluate every rule, and write the ALERTS series as Prometheus does."""
        for rule in self.rules:
            rule.evaluate(storage, now)
        if self._written is None:
            self._written = Scrape(storage)
        self._written.begin(now)
        for alert in self.active():
            self._written.add("ALERTS", alert.labels | {"alertstate": alert.state}, 1.0)
            self._written.add("ALERTS_FOR_STATE", alert.labels, alert.active_at)
        self._written.end()

    def change(self, name: str, row: dict[str, Any] | None) -> None:
        """Take rule *name* away, or put *row* in its place, as a reload of the rule file does."""
        self.rules = [rule for rule in self.rules if rule.name != name]
        if row is not None:
            self.rules.append(rule_of({"alert": name, **row}, self.rules[0].group))

    def firing(self) -> list[tuple[Rule, Alert]]:
        """Every firing alert with its rule."""
        return [(rule, alert) for rule in self.rules for alert in rule.active.values() if alert.state == "firing"]

    def active(self) -> list[Alert]:
        """Every pending or firing alert."""
        return [alert for rule in self.rules for alert in rule.active.values()]


def load() -> Rules:
    """Read the rules that ship with the drill."""
    return read(resources.files("drill.metrics").joinpath("rules.yaml").read_text())


def read(text: str) -> Rules:
    """Rules from YAML; QueryError for an expression that cannot be parsed."""
    raw: dict[str, Any] = yaml.safe_load(text)
    return Rules([rule_of(row, group["name"]) for group in raw["groups"] for row in group["rules"]])


def rule_of(row: dict[str, Any], group: str) -> Rule:
    """One rule of a rule file; QueryError for an expression that cannot be parsed."""
    return Rule(
        name=row["alert"],
        expr=row["expr"],
        hold=float(row.get("for", 0)),
        labels=row.get("labels", {}),
        annotations=row.get("annotations", {}),
        group=group,
        tree=parse(row["expr"]),
        keep=float(row.get("keep_firing_for", 0)),
    )


def generator_url(base: str, expr: str) -> str:
    """Return the link to the graph of an expression, as Prometheus writes it into alerts."""
    return f"{base}/graph?g0.expr={quote_plus(expr)}&g0.tab=1"


def expand(template: str, labels: dict[str, str], value: float) -> str:
    """Return the part of Go's templates that our rules use: labels, the value and three ways to write it."""

    def one(match: re.Match[str]) -> str:
        if match[2]:
            return labels.get(match[2], "")
        return _FORMATS[match[3] or "plain"](value)

    return _FIELD.sub(one, template)


_FORMATS: dict[str, Callable[[float], str]] = {
    "plain": number,
    "humanizePercentage": lambda value: f"{value * 100:.4g}%",
    "humanize": lambda value: f"{value:.4g}",
    "humanizeDuration": lambda value: f"{value:.3g}s" if value < 60 else f"{int(value // 60)}m {int(value % 60)}s",
}
