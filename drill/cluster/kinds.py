"""The resources that the practice cluster serves, and the discovery documents made from them."""

from drill.cluster.objects import Kind, Obj

NAMESPACES = Kind("", "v1", "namespaces", "Namespace", namespaced=False, short=("ns",))
NODES = Kind("", "v1", "nodes", "Node", namespaced=False, short=("no",))
PODS = Kind("", "v1", "pods", "Pod", short=("po",), subresources=("status", "log", "eviction"))
SERVICES = Kind("", "v1", "services", "Service", short=("svc",))
ENDPOINTS = Kind("", "v1", "endpoints", "Endpoints", short=("ep",), subresources=())
EVENTS = Kind("", "v1", "events", "Event", short=("ev",), subresources=())
CONFIGMAPS = Kind("", "v1", "configmaps", "ConfigMap", short=("cm",), subresources=())
SECRETS = Kind("", "v1", "secrets", "Secret", subresources=())
SERVICEACCOUNTS = Kind("", "v1", "serviceaccounts", "ServiceAccount", short=("sa",), subresources=())
CLAIMS = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short=("pvc",))
VOLUMES = Kind("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False, short=("pv",))
QUOTAS = Kind("", "v1", "resourcequotas", "ResourceQuota", short=("quota",))
LIMITRANGES = Kind("", "v1", "limitranges", "LimitRange", short=("limits",), subresources=())
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment", short=("deploy",), subresources=("status", "scale"))
REPLICASETS = Kind("apps", "v1", "replicasets", "ReplicaSet", short=("rs",), subresources=("status", "scale"))
STATEFULSETS = Kind("apps", "v1", "statefulsets", "StatefulSet", short=("sts",), subresources=("status", "scale"))
DAEMONSETS = Kind("apps", "v1", "daemonsets", "DaemonSet", short=("ds",))
HPAS = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", short=("hpa",))
JOBS = Kind("batch", "v1", "jobs", "Job")
CRONJOBS = Kind("batch", "v1", "cronjobs", "CronJob", short=("cj",))
PDBS = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short=("pdb",))
CLASSES = Kind(
    "storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False, short=("sc",), subresources=()
)
INGRESSES = Kind("networking.k8s.io", "v1", "ingresses", "Ingress", short=("ing",))
CERTIFICATES = Kind("cert-manager.io", "v1", "certificates", "Certificate", short=("cert",))
NETPOLS = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short=("netpol",), subresources=())

WEBHOOKS = Kind(
    "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration",
    namespaced=False, subresources=(),
)  # fmt: skip
REMEDIATIONS = Kind("tocsin.dev", "v1alpha1", "remediations", "Remediation", short=("rem",))

KINDS: tuple[Kind, ...] = (
    NAMESPACES, NODES, PODS, SERVICES, ENDPOINTS, EVENTS, CONFIGMAPS, SECRETS, SERVICEACCOUNTS, CLAIMS, VOLUMES,
    QUOTAS, LIMITRANGES, DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS, HPAS, JOBS, CRONJOBS, PDBS, INGRESSES,
    NETPOLS, CLASSES, CERTIFICATES, WEBHOOKS, REMEDIATIONS,
)  # fmt: skip
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
REVIEWS = {"authentication.k8s.io": "selfsubjectreviews", "authorization.k8s.io": "selfsubjectaccessreviews"}
REVIEW_KINDS = {"authentication.k8s.io": "SelfSubjectReview", "authorization.k8s.io": "SelfSubjectAccessReview"}
_SUBRESOURCE_KINDS = {"scale": ("autoscaling", "v1", "Scale"), "eviction": ("policy", "v1", "Eviction")}


def find(group: str, version: str, plural: str) -> Kind | None:
    """Return the kind served under that path, or None."""
    return next((k for k in KINDS if (k.group, k.version, k.plural) == (group, version, plural)), None)


def groups() -> list[str]:
    """Named API groups, in order."""
    return sorted({kind.group for kind in KINDS if kind.group} | set(REVIEWS))


def group_list() -> Obj:
    """``GET /apis``."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in groups()]}


def group(name: str) -> Obj | None:
    """``GET /apis/<group>``."""
    return {"kind": "APIGroup", "apiVersion": "v1"} | _group(name) if name in groups() else None


def _version(name: str) -> str:
    return next((kind.version for kind in KINDS if kind.group == name), "v1")


def _group(name: str) -> Obj:
    served = {"groupVersion": f"{name}/{_version(name)}", "version": _version(name)}
    return {"name": name, "versions": [served], "preferredVersion": served}


def resource_list(group_name: str, version: str) -> Obj | None:
    """``GET /api/v1`` or ``GET /apis/<group>/<version>``."""
    rows = [row for kind in KINDS if (kind.group, kind.version) == (group_name, version) for row in _rows(kind)]
    if group_name in REVIEWS and version == "v1":
        row = {"name": REVIEWS[group_name], "singularName": "", "namespaced": False, "kind": REVIEW_KINDS[group_name]}
        rows.append(row | {"verbs": ["create"]})
    if not rows:
        return None
    name = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows}


def _rows(kind: Kind) -> list[Obj]:
    base: Obj = {
        "name": kind.plural,
        "singularName": kind.kind.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": VERBS if kind is NAMESPACES else sorted([*VERBS, "deletecollection"]),
        "shortNames": list(kind.short),
    }
    if kind.plural in ("pods", "deployments", "replicasets", "services"):
        base["categories"] = ["all"]
    rows = [base]
    for name in kind.subresources:
        row: Obj = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
        row |= {"kind": kind.kind, "verbs": ["get", "patch", "update"]}
        if name in _SUBRESOURCE_KINDS:
            api, version, of = _SUBRESOURCE_KINDS[name]
            row |= {"group": api, "version": version, "kind": of}
        if name == "log":
            row["verbs"] = ["get"]
        if name == "eviction":
            row["verbs"] = ["create"]
        rows.append(row)
    return rows
