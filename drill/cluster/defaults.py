"""Defaults that the API server fills in (its admission plug-ins too); called on every write, and by the controllers."""

import base64
from typing import Any

from drill.cluster import kinds, limits
from drill.cluster.objects import Kind, Obj


def apply(kind: Kind, obj: Obj) -> None:
    """Fill in defaults in place."""
    fill = _BY_KIND.get(kind)
    if fill is not None:
        fill(obj)


def _deployment(obj: Obj) -> None:
    spec = _map(obj, "spec")
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = _map(spec, "strategy")
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        strategy["rollingUpdate"] = {"maxUnavailable": "25%", "maxSurge": "25%"} | rolling
    else:
        strategy.pop("rollingUpdate", None)
    _template(spec)


def _template(spec: Obj) -> None:
    template = _map(spec, "template")
    prune(template)
    _pod_spec(_map(template, "spec"))


def _pod(obj: Obj) -> None:
    prune(obj)
    spec = _map(obj, "spec")
    _pod_spec(spec)
    _set(
        spec, enableServiceLinks=True, preemptionPolicy="PreemptLowerPriority", priority=0, serviceAccountName="default"
    )
    spec.setdefault("serviceAccount", spec["serviceAccountName"])
    tolerations = spec.setdefault("tolerations", [])
    for why in ("not-ready", "unreachable"):
        key = f"node.kubernetes.io/{why}"
        if not any(
            each.get("key") in (key, None) and each.get("effect") in ("NoExecute", None) for each in tolerations
        ):
            tolerations.append({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300})
    for container in spec.get("containers") or ():
        _requests_from_limits(container["resources"])


def _job(obj: Obj) -> None:
    spec = _map(obj, "spec")
    _set(spec, backoffLimit=6, completionMode="NonIndexed", suspend=False, podReplacementPolicy="TerminatingOrFailed")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _set(spec, completions=1, parallelism=1)
    _set(spec, parallelism=1)
    _template(spec)


def own_job(obj: Obj) -> None:
    """Give a new Job the selector and the labels by which its pods are found; its uid is known."""
    meta, spec = obj["metadata"], obj["spec"]
    labels = {"controller-uid": meta["uid"], "job-name": meta["name"]}
    labels |= {f"batch.kubernetes.io/{key}": value for key, value in labels.items()}
    if spec.get("manualSelector") or spec.get("selector"):
        return
    template = _map(spec["template"], "metadata")
    template["labels"] = (template.get("labels") or {}) | labels
    if not meta.get("labels"):
        meta["labels"] = dict(template["labels"])
    spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}


def _cron_job(obj: Obj) -> None:
    spec = _map(obj, "spec")
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    _template(_map(_map(spec, "jobTemplate"), "spec"))


def _autoscaler(obj: Obj) -> None:
    spec = _map(obj, "spec")
    _set(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]


def _service(obj: Obj) -> None:
    spec = _map(obj, "spec")
    _set(
        spec,
        sessionAffinity="None",
        type="ClusterIP",
        internalTrafficPolicy="Cluster",
        ipFamilies=["IPv4"],
        ipFamilyPolicy="SingleStack",
    )
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _secret(obj: Obj) -> None:
    _set(obj, type="Opaque")
    plain = obj.pop("stringData", None) or {}
    if plain:
        obj["data"] = (obj.get("data") or {}) | {
            key: base64.b64encode(value.encode()).decode() for key, value in plain.items()
        }


def _claim(obj: Obj) -> None:
    _set(_map(obj, "spec"), volumeMode="Filesystem")


def _event(obj: Obj) -> None:
    obj.setdefault("eventTime", None)
    _set(obj, reportingComponent="", reportingInstance="", source={})


def _webhook(obj: Obj) -> None:
    for each in obj.get("webhooks") or ():
        _set(
            each,
            failurePolicy="Fail",
            matchPolicy="Equivalent",
            timeoutSeconds=10,
            namespaceSelector={},
            objectSelector={},
        )
        for rule in each.get("rules") or ():
            _set(rule, scope="*")


def _namespace(obj: Obj) -> None:
    name = obj["metadata"].get("name", "")
    _set(_map(obj, "spec"), finalizers=["kubernetes"])
    obj["metadata"]["labels"] = (obj["metadata"].get("labels") or {}) | {"kubernetes.io/metadata.name": name}


_BY_KIND = {
    kinds.DEPLOYMENTS: _deployment, kinds.PODS: _pod, kinds.JOBS: _job, kinds.CRONJOBS: _cron_job, kinds.HPAS: _autoscaler,
    kinds.SERVICES: _service, kinds.SECRETS: _secret, kinds.CLAIMS: _claim, kinds.EVENTS: _event, kinds.WEBHOOKS: _webhook,
    kinds.NAMESPACES: _namespace, kinds.LIMITRANGES: limits.complete,
}  # fmt: skip


def _map(obj: Obj, key: str) -> Obj:
    if not isinstance(obj.get(key), dict):
        obj[key] = {}
    inner: Obj = obj[key]
    return inner


def _set(obj: Obj, **values: Any) -> None:
    for key, value in values.items():
        if obj.get(key) is None:
            obj[key] = value


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


def _pod_spec(spec: Obj) -> None:
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


def _requests_from_limits(resources: Obj) -> None:
    for key, value in (resources.get("limits") or {}).items():
        resources.setdefault("requests", {}).setdefault(key, value)
