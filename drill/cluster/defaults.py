"""Defaults and validation that the API server applies to what clients send; called by the API on every write."""

from typing import Any

from drill.cluster import kinds
from drill.cluster.objects import Kind, Obj, invalid, matches_labels, quantity

_NEGATIVE = "must be greater than or equal to 0"


def apply(kind: Kind, obj: Obj) -> None:
    """Fill in defaults in place."""
    if kind is kinds.DEPLOYMENTS:
        spec = obj.setdefault("spec", {})
        for key, value in (("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)):
            if spec.get(key) is None:
                spec[key] = value
        strategy = spec.setdefault("strategy", {})
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.get("rollingUpdate") or {}
            strategy["rollingUpdate"] = {"maxUnavailable": "25%", "maxSurge": "25%"} | rolling
        else:
            strategy.pop("rollingUpdate", None)
        template = spec.setdefault("template", {})
        prune(template)
        _pod(template.setdefault("spec", {}))
    if kind is kinds.PODS:
        prune(obj)
        _pod(obj.setdefault("spec", {}))


_KEPT_EMPTY = ("resources", "securityContext", "emptyDir", "status")


def prune(value: Any) -> None:
    """Drop nulls and empty lists and maps in place, as the server's Go types do when they are written out."""
    if isinstance(value, dict):
        for key, inner in list(value.items()):
            prune(inner)
            if inner is None or (inner in ([], {}) and key not in _KEPT_EMPTY):
                del value[key]
    elif isinstance(value, list):
        for inner in value:
            prune(inner)


def _pod(spec: Obj) -> None:
    defaults: Obj = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
    }
    for key, value in defaults.items():
        spec.setdefault(key, value)
    for container in spec.get("containers") or ():
        container.setdefault("resources", {})
        container.setdefault("imagePullPolicy", "IfNotPresent")
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for port in container.get("ports") or ():
            port.setdefault("protocol", "TCP")
        _requests_from_limits(container["resources"])


def _requests_from_limits(resources: Obj) -> None:
    for key, value in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(key, value)


def check(kind: Kind, obj: Obj, old: Obj | None = None) -> None:
    """Raise ApiError 422 for what the API server would not store."""
    name = obj["metadata"].get("name") or obj["metadata"].get("generateName", "")
    if not name:
        raise invalid(kind, "", "metadata.name", "Required value: name or generateName is required")
    if kind in (kinds.DEPLOYMENTS, kinds.REPLICASETS):
        _check_workload(kind, name, obj["spec"], old)
    elif kind is kinds.PODS:
        _check_pod(kind, name, obj["spec"], "spec")


def _check_workload(kind: Kind, name: str, spec: Obj, old: Obj | None) -> None:
    replicas = spec.get("replicas", 1)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise invalid(kind, name, "spec.replicas", f"Invalid value: {replicas!r}: must be an integer")
    if replicas < 0:
        raise invalid(kind, name, "spec.replicas", f"Invalid value: {replicas}: {_NEGATIVE}")
    selector = spec.get("selector")
    if not selector:
        raise invalid(kind, name, "spec.selector", "Required value")
    if old is not None and selector != old["spec"]["selector"]:
        raise invalid(kind, name, "spec.selector", f"Invalid value: {selector}: field is immutable")
    labels = (spec["template"].get("metadata") or {}).get("labels") or {}
    if not matches_labels(selector, labels):
        path = "spec.template.metadata.labels"
        raise invalid(kind, name, path, f"Invalid value: {labels}: `selector` does not match template `labels`")
    _check_pod(kind, name, spec["template"]["spec"], "spec.template.spec")


def _check_pod(kind: Kind, name: str, spec: Obj, path: str) -> None:
    containers: Any = spec.get("containers")
    if not containers:
        raise invalid(kind, name, f"{path}.containers", "Required value")
    seen = set()
    for index, container in enumerate(containers):
        here = f"{path}.containers[{index}]"
        if not container.get("name"):
            raise invalid(kind, name, f"{here}.name", "Required value")
        if container["name"] in seen:
            raise invalid(kind, name, f"{here}.name", f'Duplicate value: "{container["name"]}"')
        seen.add(container["name"])
        if not container.get("image"):
            raise invalid(kind, name, f"{here}.image", "Required value")
        _check_resources(kind, name, container.get("resources") or {}, here)


def _check_resources(kind: Kind, name: str, resources: Obj, path: str) -> None:
    sizes: dict[str, dict[str, float]] = {}
    for part in ("limits", "requests"):
        for key, value in (resources.get(part) or {}).items():
            try:
                sizes.setdefault(part, {})[key] = quantity(value)
            except ValueError as error:
                wrong = f'Invalid value: "{value}": quantities must match the regular expression'
                raise invalid(kind, name, f"{path}.resources.{part}.{key}", wrong) from error
    for key, asked in sizes.get("requests", {}).items():
        limit = sizes.get("limits", {}).get(key)
        if limit is not None and asked > limit:
            value = resources["requests"][key]
            wrong = f'Invalid value: "{value}": must be less than or equal to {key} limit of {resources["limits"][key]}'
            raise invalid(kind, name, f"{path}.resources.requests", wrong)
