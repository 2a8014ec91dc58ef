"""ConfigMaps and Secrets: referenced but missing (or a key of them), empty, too large, unused."""

from collections.abc import Iterator
from dataclasses import dataclass

from tools.objects import Condition, Obj, Objects, containers, dicts, found, meta, name, namespace, pod_spec, status

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod")
MAX_BYTES = 1_000_000  # etcd refuses a little above this (1 MiB)
_MADE = ("kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert")
_USED_OTHERWISE = (
    "kubernetes.io/service-account-token", "helm.sh/release.v1", "bootstrap.kubernetes.io/token", "kubernetes.io/dockerconfigjson",
)  # fmt: skip


@dataclass(frozen=True)
class _Ref:
    kind: str
    name: str
    key: str
    optional: bool
    how: str


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return what is missing of what workloads refer to, and the conditions of every ConfigMap and Secret."""
    users = [obj for obj in objects.all(*WORKLOADS) if not _told_by_owner(obj, objects)]
    used: set[tuple[str, str, str]] = set()
    for obj in users:
        refs = list(_refs(pod_spec(obj)))
        used |= {(ref.kind, namespace(obj), ref.name) for ref in refs}
        if status(obj).get("phase") not in {"Succeeded", "Failed"}:
            yield from _missing(obj, refs, objects)
    used |= _used_elsewhere(objects)
    whole = any(True for _ in objects.all("Pod", "Deployment"))
    for obj in objects.all("ConfigMap", "Secret"):
        yield from _content(obj, used, whole=whole)


def _told_by_owner(obj: Obj, objects: Objects) -> bool:
    """Whether an owner among the objects has the same pod template, so that it is told there once."""
    return any(
        ref.get("kind") in WORKLOADS
        and objects.get(str(ref.get("kind")), namespace(obj), str(ref.get("name"))) is not None
        for ref in dicts(meta(obj).get("ownerReferences"))
    )


def _refs(pod: Obj) -> Iterator[_Ref]:
    for volume in dicts(pod.get("volumes")):
        for source in [volume, *dicts((volume.get("projected") or {}).get("sources"))]:
            yield from _source(source, f"volume {volume.get('name')}")
    for container in containers(pod):
        for source in dicts(container.get("envFrom")):
            yield from _variables(
                source, ("configMapRef", "secretRef"), f"envFrom of container {container.get('name')}"
            )
        for env in dicts(container.get("env")):
            inner = env.get("valueFrom") or {}
            yield from _variables(inner, ("configMapKeyRef", "secretKeyRef"), f"variable {env.get('name')}")
    for ref in dicts(pod.get("imagePullSecrets")):
        yield _Ref("Secret", str(ref.get("name")), "", optional=True, how="imagePullSecrets")


def _source(source: Obj, how: str) -> Iterator[_Ref]:
    for kind, field in (("ConfigMap", "configMap"), ("Secret", "secret")):
        inner = source.get(field)
        called = (inner.get("name") or inner.get("secretName")) if isinstance(inner, dict) else None
        if called and isinstance(inner, dict):
            yield _Ref(kind, str(called), "", bool(inner.get("optional")), how)


def _variables(source: Obj, fields: tuple[str, str], how: str) -> Iterator[_Ref]:
    for kind, field in zip(("ConfigMap", "Secret"), fields, strict=True):
        inner = source.get(field)
        if isinstance(inner, dict):
            yield _Ref(kind, str(inner.get("name")), str(inner.get("key") or ""), bool(inner.get("optional")), how)


def _missing(obj: Obj, refs: list[_Ref], objects: Objects) -> Iterator[Condition]:
    place = namespace(obj)
    told: set[tuple[str, str, str]] = set()
    for ref in refs:
        if ref.optional or (ref.kind, ref.name, ref.key) in told or ref.name in _MADE:
            continue
        told.add((ref.kind, ref.name, ref.key))
        there = objects.get(ref.kind, place, ref.name)
        if objects.missing(ref.kind, place, ref.name):
            told |= {(ref.kind, ref.name, other.key) for other in refs}
            yield found(obj, f"{ref.kind.lower()}_missing", f"{ref.kind} {ref.name} does not exist ({ref.how})",
                        f"create the {ref.kind} or correct the reference", "critical")  # fmt: skip
        elif (
            there is not None and ref.key and ref.key not in _data(there) and (_data(there) or ref.kind == "ConfigMap")
        ):
            yield found(obj, f"{ref.kind.lower()}_key_missing", f"{ref.kind} {ref.name} has no key {ref.key} ({ref.how})",
                        "add the key or correct the reference", "critical")  # fmt: skip


def _data(obj: Obj) -> Obj:
    return {**(obj.get("data") or {}), **(obj.get("binaryData") or {}), **(obj.get("stringData") or {})}


def _used_elsewhere(objects: Objects) -> set[tuple[str, str, str]]:
    """Return the secrets that Ingresses, service accounts and certificates use."""
    used = {
        ("Secret", namespace(i), str(t.get("secretName")))
        for i in objects.all("Ingress")
        for t in dicts((i.get("spec") or {}).get("tls"))
    }
    for account in objects.all("ServiceAccount"):
        used |= {
            ("Secret", namespace(account), str(ref.get("name")))
            for field in ("secrets", "imagePullSecrets")
            for ref in dicts(account.get(field))
        }
    used |= {("Secret", namespace(c), str((c.get("spec") or {}).get("secretName"))) for c in objects.all("Certificate")}
    return used


def _content(obj: Obj, used: set[tuple[str, str, str]], *, whole: bool) -> Iterator[Condition]:
    kind, data = str(obj.get("kind")), _data(obj)
    if name(obj) in _MADE or "control-plane.alpha.kubernetes.io/leader" in (meta(obj).get("annotations") or {}):
        return
    is_used = (kind, namespace(obj), name(obj)) in used
    # `kubectl get secrets` with redacted or stripped data has no data field at all: only an explicit emptiness tells
    if not data and not str(obj.get("type", "")).startswith("kubernetes.io/service-account"):
        yield found(obj, f"{kind.lower()}_empty", f"{kind} has no data" + (" although a workload uses it" if is_used else ""),
                    "fill it or delete it", "warning")  # fmt: skip
    encoded = {**(obj.get("binaryData") or {}), **((obj.get("data") or {}) if kind == "Secret" else {})}
    size = sum(len(str(key)) + _size(value, coded=key in encoded) for key, value in data.items())
    if size > MAX_BYTES:
        yield found(obj, f"{kind.lower()}_too_large", f"{size / 1e6:.1f} MB: over 1 MB, near or above what Kubernetes takes",
                    "move the content to a volume or an object store")  # fmt: skip
    owned = bool(dicts(meta(obj).get("ownerReferences"))) or namespace(obj).startswith("kube-")
    if whole and not is_used and not owned and obj.get("type") not in _USED_OTHERWISE:
        yield found(
            obj,
            f"{kind.lower()}_unused",
            "no workload among these objects uses it",
            "delete it if nothing else reads it",
            "note",
        )


def _size(value: object, *, coded: bool) -> int:
    """Return a value's bytes; of base64 three for every four characters."""
    size = len(str(value).encode())
    return size * 3 // 4 if coded else size
