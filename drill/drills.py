"""Firing drills and undoing them: scenarios applied through the same writes as any client's; owned by the world."""

from dataclasses import dataclass
from typing import Any

from drill.cluster import baseline, defaults, kinds
from drill.cluster.cluster import Cluster
from drill.cluster.objects import clone
from drill.cluster.requests import Target
from drill.cluster.writes import Writes
from drill.metrics.rules import Rules
from drill.scenarios.model import Scenario, ScenarioError, Step, load
from drill.timeline import Clock

_PATCH = "application/strategic-merge-patch+json"


@dataclass
class Running:
    """A drill under way: *alerted* once its alert has fired."""

    scenario: Scenario
    since: float
    alerted: bool = False


class Drills:
    """Which drills exist and which run; one is over when its alert has fired and resolved again."""

    def __init__(self, cluster: Cluster, rules: Rules, clock: Clock) -> None:
        self._cluster, self._rules, self._clock = cluster, rules, clock
        self._writes = Writes(cluster.store)
        self.known = load()
        self.running: dict[str, Running] = {}

    def shown(self) -> list[dict[str, Any]]:
        """Every scenario as JSON, with whether it runs."""
        return [
            scenario.model_dump(exclude={"steps"}) | {"running": name in self.running}
            for name, scenario in self.known.items()
        ]

    def fire(self, name: str) -> None:
        """Apply a scenario's steps; ScenarioError when it is unknown or still running."""
        scenario = self.known.get(name)
        if scenario is None:
            raise ScenarioError(f"there is no drill {name!r}; there are: {', '.join(self.known)}")
        if name in self.running:
            raise ScenarioError(f"{name} is still running: heal it or reset the world first")
        for step in scenario.steps:
            self._apply(step)
        self.running[name] = Running(scenario, self._clock())

    def reset(self) -> None:
        """Every Deployment gets its baseline spec again; one that was deleted is made again."""
        store = self._cluster.store
        for service in self._cluster.catalogue.services.values():
            wanted = baseline.deployment(service)
            defaults.apply(kinds.DEPLOYMENTS, wanted)
            known = store.find(kinds.DEPLOYMENTS, service.namespace, service.name)
            if known is None:
                store.create(kinds.DEPLOYMENTS, wanted)
                continue
            fresh = clone(known)
            fresh["spec"] = wanted["spec"]
            fresh["metadata"].get("annotations", {}).pop("kubernetes.io/change-cause", None)
            store.update(kinds.DEPLOYMENTS, fresh)
        self.running.clear()

    def watch(self) -> None:
        """Notice alerts that came and went."""
        firing = {(rule.name, alert.labels.get("service")) for rule, alert in self._rules.firing()}
        for name, running in list(self.running.items()):
            alert = (running.scenario.alert, running.scenario.service)
            if alert in firing:
                running.alerted = True
            elif running.alerted:
                del self.running[name]

    def _apply(self, step: Step) -> None:
        for change in (step.patch, step.scale):
            if change is None:
                continue
            kind = next(each for each in kinds.KINDS if each.plural == change.resource)
            target = Target(kind, change.namespace, change.name, "", "patch")
            if step.patch is not None:
                body = step.patch.body
                self._writes.patch(target, body, _PATCH, manager=change.manager, force=False, dry_run=False)
            elif step.scale is not None:
                body = {"spec": {"replicas": step.scale.replicas}}
                self._writes.scale(target, body, manager=change.manager, dry_run=False)
