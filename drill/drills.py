"""Firing drills and undoing them: scenarios applied through the same writes as any client's; owned by the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from drill.cluster import baseline, defaults, kinds, platform
from drill.cluster.catalogue import Fault
from drill.cluster.cluster import Cluster
from drill.cluster.objects import Kind, Obj, clone, condition
from drill.cluster.options import Deletion
from drill.cluster.requests import Target
from drill.cluster.writes import Writes
from drill.metrics.circumstances import Outside
from drill.metrics.rules import Rules
from drill.scenarios.model import Create, Named, Patch, Scale, Scenario, ScenarioError, Step, load
from drill.timeline import Clock

GROUPS = ("Rollouts and configuration", "Dependencies", "Room and limits", "Jobs and queues", "Nothing is broken")
_PATCH = "application/strategic-merge-patch+json"


@dataclass
class Running:
    """A drill under way: *alerted* once its alert has fired."""

    scenario: Scenario
    since: float
    alerted: bool = False


class Drills:
    """Which drills exist and which run; one is over when its alert has fired and resolved again."""

    def __init__(self, cluster: Cluster, rules: Rules, clock: Clock, outside: Outside | None = None) -> None:
        self._cluster, self._rules, self._clock = cluster, rules, clock
        self._outside = outside or Outside()
        self._added: list[tuple[str, str]] = []
        self._writes = Writes(cluster.store)
        self.known = load()
        self.running: dict[str, Running] = {}

    def shown(self) -> list[dict[str, Any]]:
        """Every scenario as JSON, with whether it runs; neither what it does nor the truth about it."""
        told = {"name", "title", "group", "description", "alert", "service"}
        rows = [
            scenario.model_dump(include=told) | {"running": name in self.running}
            for name, scenario in self.known.items()
        ]
        return sorted(rows, key=lambda row: GROUPS.index(row["group"]) if row["group"] in GROUPS else len(GROUPS))

    def fire(self, name: str) -> None:
        """Apply a scenario's steps, from the baseline of claims, quotas, settings and autoscalers; ScenarioError when unknown or running."""
        scenario = self.known.get(name)
        if scenario is None:
            raise ScenarioError(f"there is no drill {name!r}; there are: {', '.join(self.known)}")
        if name in self.running:
            raise ScenarioError(f"{name} is still running: heal it or reset the world first")
        if not self.running:
            platform.restore(self._cluster.store)
            self._cluster.volumes.empty()
            self._cluster.volumes.reconcile()
        self.apply(scenario.steps)
        self.running[name] = Running(scenario, self._clock())

    def reset(self) -> None:
        """Every object gets its baseline spec again, what a drill added goes, and the outside is as usual."""
        store = self._cluster.store
        self._cluster.restore()
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
        platform.restore(store)
        self._tidy()
        for name in self.known:
            self._calm(self.known[name])
        self._cluster.volumes.empty()
        self.running.clear()

    def _tidy(self) -> None:
        """Remove what drills created, and Jobs that failed in one."""
        store = self._cluster.store
        for namespace, name in self._added:
            if store.find(kinds.DEPLOYMENTS, namespace, name):
                store.delete(kinds.DEPLOYMENTS, namespace, name)
        self._added.clear()
        for job in list(store.list(kinds.JOBS)):
            if (condition(job, "Failed") or {}).get("status") == "True":
                store.delete(kinds.JOBS, job["metadata"]["namespace"], job["metadata"]["name"])
        for cert in list(store.list(kinds.CERTIFICATES)):
            if (condition(cert, "Ready") or {}).get("status") == "False":
                self._cluster.certificates.renew(cert["metadata"]["namespace"], cert["metadata"]["name"])

    def _calm(self, scenario: Scenario) -> None:
        """Let the outside of a drill that is over be as usual."""
        for step in scenario.steps:
            if step.load:
                self._outside.load.pop(step.load.service, None)
            if step.glitch:
                self._outside.glitches.pop(step.glitch.service, None)
            if step.rule:
                self._rules.change(step.rule.alert, None)

    def watch(self) -> None:
        """Notice alerts that came and went."""
        firing = {(rule.name, alert.labels.get("service")) for rule, alert in self._rules.firing()}
        for name, running in list(self.running.items()):
            alert = (running.scenario.alert, running.scenario.service)
            if alert in firing:
                running.alerted = True
            elif running.alerted:
                del self.running[name]
                self._calm(running.scenario)
                self.apply(running.scenario.after)

    def apply(self, steps: Sequence[Step]) -> None:
        """Do what a scenario, or the person who heals it, does."""
        for step in steps:
            self._change(step)
            self._happen(step)

    def _change(self, step: Step) -> None:
        """Write to the cluster as a client does."""
        if step.patch is not None:
            target, body = self._target(step.patch), step.patch.body
            self._writes.patch(target, body, _PATCH, manager=step.patch.manager, force=False, dry_run=False)
        elif step.scale is not None:
            replicas = {"spec": {"replicas": step.scale.replicas}}
            self._writes.scale(self._target(step.scale), replicas, manager=step.scale.manager, dry_run=False)
        elif step.create is not None:
            self._create(step.create)
        elif step.delete is not None:
            self._writes.delete(self._target(step.delete), Deletion(None, False))
        elif step.run is not None:
            store, run = self._cluster.store, step.run
            if store.find(kinds.JOBS, run.namespace, run.name):
                store.delete(kinds.JOBS, run.namespace, run.name)
            self._cluster.jobs.start(store.get(kinds.CRONJOBS, run.namespace, run.cronjob), run.name)

    def _happen(self, step: Step) -> None:
        """Let something happen that no client of the API writes."""
        if step.disk is not None:
            self._cluster.volumes.fill(step.disk.namespace, step.disk.claim, step.disk.share)
        elif step.certificate is not None:
            certificates = self._cluster.certificates
            do = certificates.expire if step.certificate.do == "expire" else certificates.renew
            do(step.certificate.namespace, step.certificate.name)
        elif step.glitch is not None:
            fault = Fault(step.glitch.ratio, step.glitch.code, step.glitch.line)
            self._outside.glitches[step.glitch.service] = (self._clock() + step.glitch.seconds, fault)
        elif step.load is not None:
            self._outside.load[step.load.service] = step.load.factor
        elif step.rule is not None:
            self._rules.change(step.rule.alert, step.rule.rule)

    def _create(self, create: Create) -> None:
        store, body = self._cluster.store, clone(create.object)
        namespace, name = body["metadata"].get("namespace", ""), body["metadata"]["name"]
        if namespace and store.find(kinds.NAMESPACES, "", namespace) is None:
            labels: Obj = {"kubernetes.io/metadata.name": namespace}
            space = {"metadata": {"name": namespace, "labels": labels}, "spec": {}, "status": {"phase": "Active"}}
            store.create(kinds.NAMESPACES, space)
        self._added.append((namespace, name))
        kind = _kind(create.resource)
        known = store.find(kind, namespace, name)
        if known is not None:  # the drill is fired again after it was healed
            defaults.apply(kind, body)
            store.update(kind, clone(known) | {"spec": body["spec"]})
            return
        self._writes.create(Target(kind, namespace, "", "", "create"), body, manager=create.manager, dry_run=False)

    def _target(self, at: Patch | Scale | Named) -> Target:
        return Target(_kind(at.resource), at.namespace, at.name, "", "patch")


def _kind(plural: str) -> Kind:
    return next(each for each in kinds.KINDS if each.plural == plural)
