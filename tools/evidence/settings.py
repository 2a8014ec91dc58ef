"""Edits of the ConfigMaps that the service reads: which key, when, by whom, and what it was where `kubectl apply` kept it.

A setting can change without a rollout. Use it for every alert whose service has no rollout behind it; Secrets are not read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tools.kube import Kube, NotFound
from tools.observe import Seen, missing, observe
from tools.prometheus import moment
from tools.records import Evidence, Finding, Scalar, Scope
from tools.redact import is_secret_name, redact
from tools.sources import Sources
from tools.workloads import Workload, annotations_of, find

NEEDS = "kube"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
HORIZON = timedelta(hours=24)
HALF_LIFE_S = 3600.0
AFTER_S = 120.0  # a later edit may be a remedy
MADE = timedelta(seconds=2)
MAX_MAPS = 10
MAX_VALUE = 2_000

Obj = dict[str, Any]


@dataclass(frozen=True)
class _Edit:
    """One key of one ConfigMap that was written after the map was made; *before* None when nobody kept it."""

    configmap: str
    key: str
    at: datetime
    by: str
    before: str | None
    after: str


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Look at the ConfigMaps of the workload behind *scope*."""
    kube = sources.kube
    if kube is None:
        return missing("settings", "Kubernetes cluster", sources, "KUBECONFIG")
    title = f"Settings of {scope.service or scope.alert.name}"
    return await observe("settings", title, sources, lambda seen: _look(seen, scope, kube))


async def _look(seen: Seen, scope: Scope, kube: Kube) -> None:
    workload = await find(kube, scope, (), seen.ask)
    names = list(dict.fromkeys(_used(workload)))[:MAX_MAPS]
    onset = scope.alert.starts_at or scope.end
    for name in names:
        path = seen.ask(f"/api/v1/namespaces/{workload.namespace.name}/configmaps/{name}")
        try:
            found = await kube.get(path)
        except NotFound:
            seen.body.append(f"ConfigMap {name} does not exist")
            continue
        for edit in _edits(name, found):
            _tell(seen, workload, edit, onset)
    seen.findings.sort(key=lambda finding: -finding.score)
    told = ", ".join(names[:5]) or "no ConfigMap"
    seen.summary = seen.findings[0].statement if seen.findings else f"it reads {told}; no edit in the last 24 h"


def _used(workload: Workload) -> Iterator[str]:
    """Name the ConfigMaps that the pod template reads, as environment or as files."""
    spec = ((workload.obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for source in container.get("envFrom") or []:
            yield from _name(source.get("configMapRef"))
        for env in container.get("env") or []:
            yield from _name((env.get("valueFrom") or {}).get("configMapKeyRef"))
    for volume in spec.get("volumes") or []:
        yield from _name(volume.get("configMap"))
        for source in (volume.get("projected") or {}).get("sources") or []:
            yield from _name(source.get("configMap"))


def _name(reference: Any) -> Iterator[str]:
    if isinstance(reference, dict) and reference.get("name"):
        yield str(reference["name"])


def _edits(name: str, obj: Obj) -> Iterator[_Edit]:
    meta = obj.get("metadata") or {}
    made, data = moment(meta.get("creationTimestamp")), obj.get("data") or {}
    kept = _applied(obj)
    written: dict[str, tuple[datetime, str]] = {}
    for entry in meta.get("managedFields") or []:
        at = moment(entry.get("time"))
        for field in ((entry.get("fieldsV1") or {}).get("f:data") or {}) if at else ():
            key = str(field).removeprefix("f:")
            if at and key in data and (key not in written or at > written[key][0]):
                written[key] = at, str(entry.get("manager", ""))
    for key, (at, by) in written.items():
        if made is None or at - made > MADE:
            before = kept.get(key)
            after = str(data[key])
            yield _Edit(name, key, at, by, before if before != after else None, after)


def _applied(obj: Obj) -> dict[str, str]:
    """Return the data that the last `kubectl apply` wrote; {} when there was none."""
    try:
        said = json.loads(annotations_of(obj).get(APPLIED, "{}"))
    except ValueError:
        return {}
    data = said.get("data") if isinstance(said, dict) else None
    return {str(key): str(value) for key, value in data.items()} if isinstance(data, dict) else {}


def _tell(seen: Seen, workload: Workload, edit: _Edit, onset: datetime) -> None:
    age = (onset - edit.at).total_seconds()
    score = 0.9 * (0.3 if age < -AFTER_S else 0.5 ** (max(age, 0.0) / HALF_LIFE_S))
    hidden = is_secret_name(edit.key) or any(redact(text) != text for text in (edit.before or "", edit.after))
    long = max(len(edit.after), len(edit.before or "")) > MAX_VALUE
    before = None if hidden or long else edit.before
    how = f" ({edit.before!r} -> {edit.after!r})" if before is not None and len(edit.after) <= 80 else ""
    said = (
        f"{edit.key} of ConfigMap {edit.configmap} was edited at {edit.at:%H:%M:%S} UTC"
        + (f" by {edit.by}" if edit.by else "")
        + how
    )
    seen.body.append(said)
    if onset - edit.at > HORIZON:
        return
    data: dict[str, Scalar] = {
        "namespace": workload.namespace.name, "configmap": edit.configmap, "key": edit.key, "by": edit.by,
        "age_s": round(age), "before": before, "after": None if hidden or long else edit.after,
    }  # fmt: skip
    if workload.kind == "Deployment":
        data["deployment"] = workload.name
    seen.findings.append(
        Finding(kind="config_changed", service=workload.service, statement=said, score=score, at=edit.at, data=data)
    )
