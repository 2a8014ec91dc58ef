"""The columns that kubectl prints, as the server-side Table of meta.k8s.io/v1; used by kubernetes_api.py."""

from collections.abc import Callable

from starlette.requests import Request

from drill.cluster import kinds
from drill.cluster.objects import Kind, Obj, condition, from_iso

Row = Callable[[Obj, float], list[object]]


def wanted(request: Request) -> bool:
    """Whether the client asked for a Table, as kubectl get does."""
    return "as=Table" in request.headers.get("accept", "")


def table(kind: Kind, rows: list[Obj], now: float, version: str, include: str = "Metadata") -> Obj:
    """Return the Table of some objects; each row carries what *include* (includeObject) says of its object."""
    names, cells = _COLUMNS.get(kind, (["Name", "Age"], _plain))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [
            {
                "name": name,
                "type": "string",
                "format": "name" if name == "Name" else "",
                "description": "",
                "priority": 0,
            }
            for name in names
        ],
        "rows": [
            {
                "cells": cells(obj, now),
                **_carried(obj, include),
            }
            for obj in rows
        ],
    }


def _carried(obj: Obj, include: str) -> Obj:
    if include == "None":
        return {}
    if include == "Object":
        return {"object": obj}
    part = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
    return {"object": part}


def age(obj: Obj, now: float) -> str:
    """``45s``, ``12m``, ``3h20m``, ``5d``."""
    return _span(now - from_iso(obj["metadata"]["creationTimestamp"]))


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < 120:
        return f"{whole}s"
    if whole < 7200:
        return f"{whole // 60}m"
    if whole < 172800:
        return f"{whole // 3600}h"
    return f"{whole // 86400}d"


def _plain(obj: Obj, now: float) -> list[object]:
    return [obj["metadata"]["name"], age(obj, now)]


def pod_status(obj: Obj) -> str:
    """Return the word in kubectl's STATUS column."""
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    states = [each.get("state") or {} for each in obj["status"].get("containerStatuses", [])]
    why = (state[how].get("reason", "") for how in ("waiting", "terminated") for state in states if how in state)
    running = any("running" in state for state in states)
    telling = (word for word in why if word and not (word == "Completed" and running))
    return str(next(telling, obj["status"].get("phase", "Pending")))


def _pod(obj: Obj, now: float) -> list[object]:
    states, why = obj["status"].get("containerStatuses", []), pod_status(obj)
    ready = f"{sum(s['ready'] for s in states)}/{len(obj['spec']['containers'])}"
    return [obj["metadata"]["name"], ready, why, str(sum(s["restartCount"] for s in states)), age(obj, now)]


def _deployment(obj: Obj, now: float) -> list[object]:
    status = obj.get("status", {})
    ready = f"{status.get('readyReplicas', 0)}/{obj['spec']['replicas']}"
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    return [obj["metadata"]["name"], ready, updated, available, age(obj, now)]


def _replica_set(obj: Obj, now: float) -> list[object]:
    status = obj.get("status", {})
    counts = [obj["spec"]["replicas"], status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [obj["metadata"]["name"], *counts, age(obj, now)]


def _namespace(obj: Obj, now: float) -> list[object]:
    return [obj["metadata"]["name"], (obj.get("status") or {}).get("phase", ""), age(obj, now)]


def _config_map(obj: Obj, now: float) -> list[object]:
    return [obj["metadata"]["name"], len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), age(obj, now)]


def _secret(obj: Obj, now: float) -> list[object]:
    return [obj["metadata"]["name"], obj.get("type", "Opaque"), len(obj.get("data") or {}), age(obj, now)]


def _endpoints(obj: Obj, now: float) -> list[object]:
    """Up to three addresses, and how many more there are, as kubectl shows them."""
    found = [
        f"{address['ip']}:{port['port']}"
        for subset in obj.get("subsets") or ()
        for port in subset.get("ports") or ()
        for address in subset.get("addresses") or ()
    ]
    more = f" + {len(found) - 3} more..." if len(found) > 3 else ""
    return [obj["metadata"]["name"], ",".join(found[:3]) + more or "<none>", age(obj, now)]


def _service(obj: Obj, now: float) -> list[object]:
    ports = ",".join(f"{p['port']}/{p.get('protocol', 'TCP')}" for p in obj["spec"]["ports"])
    return [obj["metadata"]["name"], "ClusterIP", obj["spec"].get("clusterIP", ""), "<none>", ports, age(obj, now)]


def _node(obj: Obj, now: float) -> list[object]:
    ready = condition(obj, "Ready")
    word = "Ready" if ready and ready["status"] == "True" else "NotReady"
    word += ",SchedulingDisabled" if obj["spec"].get("unschedulable") else ""
    return [obj["metadata"]["name"], word, "<none>", age(obj, now), obj["status"]["nodeInfo"]["kubeletVersion"]]


def _event(obj: Obj, now: float) -> list[object]:
    about = obj["involvedObject"]
    seen = _span(now - from_iso(obj.get("lastTimestamp") or obj["metadata"]["creationTimestamp"]))
    return [seen, obj["type"], obj["reason"], f"{about['kind'].lower()}/{about['name']}", obj["message"]]


def _budget(obj: Obj, now: float) -> list[object]:
    spec = obj["spec"]
    bounds = [str(spec.get(key, "N/A")) for key in ("minAvailable", "maxUnavailable")]
    return [obj["metadata"]["name"], *bounds, (obj.get("status") or {}).get("disruptionsAllowed", 0), age(obj, now)]


def _cron_job(obj: Obj, now: float) -> list[object]:
    spec, status = obj["spec"], obj.get("status") or {}
    last = _span(now - from_iso(status["lastScheduleTime"])) if status.get("lastScheduleTime") else "<none>"
    zone, active = spec.get("timeZone") or "<none>", len(status.get("active") or ())
    return [
        obj["metadata"]["name"],
        spec["schedule"],
        zone,
        str(bool(spec.get("suspend"))),
        active,
        last,
        age(obj, now),
    ]


def _job(obj: Obj, now: float) -> list[object]:
    spec, status = obj["spec"], obj.get("status") or {}
    words = [
        kind for kind in ("Complete", "Failed", "Suspended") if (condition(obj, kind) or {}).get("status") == "True"
    ]
    begun, ended = status.get("startTime"), status.get("completionTime")
    took = _span((from_iso(ended) if ended else now) - from_iso(begun)) if begun else ""
    done = f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}"
    return [obj["metadata"]["name"], words[0] if words else "Running", done, took, age(obj, now)]


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def _claim(obj: Obj, now: float) -> list[object]:
    spec, status = obj["spec"], obj.get("status") or {}
    phase = "Terminating" if "deletionTimestamp" in obj["metadata"] else status.get("phase", "")
    modes = ",".join(_MODES.get(mode, mode) for mode in status.get("accessModes") or ())
    size = (status.get("capacity") or {}).get("storage", "")
    return [obj["metadata"]["name"], phase, spec.get("volumeName", ""), size, modes, spec.get("storageClassName", ""),
            age(obj, now)]  # fmt: skip


def _autoscaler(obj: Obj, now: float) -> list[object]:
    spec, status = obj["spec"], obj.get("status") or {}
    of = spec["scaleTargetRef"]
    known = {
        each["resource"]["name"]: each["resource"]["current"]
        for each in status.get("currentMetrics") or ()
        if "resource" in each
    }
    targets = []
    for each in (one["resource"] for one in spec.get("metrics") or () if "resource" in one):
        is_ = (known.get(each["name"]) or {}).get("averageUtilization")
        targets.append(
            f"{each['name']}: {'<unknown>' if is_ is None else f'{is_}%'}/{each['target'].get('averageUtilization')}%"
        )
    bounds = [str(spec.get("minReplicas", 1)), spec["maxReplicas"], status.get("currentReplicas", 0)]
    return [
        obj["metadata"]["name"],
        f"{of['kind']}/{of['name']}",
        ", ".join(targets) or "<none>",
        *bounds,
        age(obj, now),
    ]


def _remediation(obj: Obj, now: float) -> list[object]:
    """Return the additionalPrinterColumns of deploy/kustomize/remediations."""
    status = obj.get("status") or {}
    said = [status.get(key, "") for key in ("target", "risk", "phase", "approvedBy")]
    return [obj["metadata"]["name"], obj["spec"]["action"], *said, age(obj, now)]


_COLUMNS: dict[Kind, tuple[list[str], Row]] = {
    kinds.PODS: (["Name", "Ready", "Status", "Restarts", "Age"], _pod),
    kinds.DEPLOYMENTS: (["Name", "Ready", "Up-to-date", "Available", "Age"], _deployment),
    kinds.REPLICASETS: (["Name", "Desired", "Current", "Ready", "Age"], _replica_set),
    kinds.NAMESPACES: (["Name", "Status", "Age"], _namespace),
    kinds.CONFIGMAPS: (["Name", "Data", "Age"], _config_map),
    kinds.SECRETS: (["Name", "Type", "Data", "Age"], _secret),
    kinds.ENDPOINTS: (["Name", "Endpoints", "Age"], _endpoints),
    kinds.SERVICES: (["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"], _service),
    kinds.NODES: (["Name", "Status", "Roles", "Age", "Version"], _node),
    kinds.PDBS: (["Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"], _budget),
    kinds.CRONJOBS: (["Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age"], _cron_job),
    kinds.JOBS: (["Name", "Status", "Completions", "Duration", "Age"], _job),
    kinds.CLAIMS: (["Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "Age"], _claim),
    kinds.HPAS: (["Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"], _autoscaler),
    kinds.REMEDIATIONS: (["Name", "Change", "Target", "Risk", "Phase", "Approved by", "Age"], _remediation),
    kinds.EVENTS: (["Last Seen", "Type", "Reason", "Object", "Message"], _event),
}
