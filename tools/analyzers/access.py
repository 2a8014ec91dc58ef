"""ServiceAccounts and RBAC: accounts that are missing, requests that are forbidden, roles that allow everything."""

import re
from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    dicts,
    event_count,
    event_message,
    event_time,
    found,
    meta,
    name,
    namespace,
    pod_spec,
    status,
)

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod")
_FORBIDDEN = re.compile(
    r"(?i)\bis forbidden: User \"?(?P<user>[^\"\s]+)\"? cannot|\bcannot (?:get|list|watch|create|update|patch|delete) resource"
)
_NO_ACCOUNT = re.compile(
    r"(?i)serviceaccount \"?(?P<name>[\w.:/-]+)\"? not found|error looking up service account (?P<full>[\w./-]+)"
)
_SYSTEM = re.compile(r"^(?:system:|cluster-admin$|admin$|edit$|view$|kubeadm:|eks:|gke-|aks-)")
_RECENT_S = 3600


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return missing accounts, forbidden requests and wildcards."""
    for obj in objects.all(*WORKLOADS):
        account = str(pod_spec(obj).get("serviceAccountName") or "")
        owned = obj.get("kind") in {"Pod", "Job"} and meta(obj).get("ownerReferences")
        over = owned or status(obj).get("phase") in {"Succeeded", "Failed"}
        if account not in {"", "default"} and not over and objects.missing("ServiceAccount", namespace(obj), account):
            yield found(obj, "service_account_missing", f"ServiceAccount {account} does not exist",
                            "create it or correct serviceAccountName", "critical")  # fmt: skip
    yield from _bindings(objects)
    yield from _forbidden(objects)
    for role in objects.all("Role", "ClusterRole"):
        yield from _wildcards(role)


def _bindings(objects: Objects) -> Iterator[Condition]:
    for binding in objects.all("RoleBinding", "ClusterRoleBinding"):
        ref = binding.get("roleRef") or {}
        kind, called = str(ref.get("kind") or ""), str(ref.get("name") or "")
        place = namespace(binding) if kind == "Role" else ""
        if not _SYSTEM.search(called) and objects.missing(kind, place, called):
            yield found(
                binding, "role_missing", f"{kind} {called} does not exist", "create the role or delete the binding"
            )
        for subject in dicts(binding.get("subjects")):
            where = str(subject.get("namespace") or namespace(binding))
            own = subject.get("kind") == "ServiceAccount" and not _SYSTEM.search(name(binding))
            if own and objects.missing("ServiceAccount", where, str(subject.get("name") or "")):
                yield found(binding, "service_account_missing", f"its subject ServiceAccount {where}/{subject.get('name')} does not exist",
                                "create the account or correct the subject")  # fmt: skip


def _forbidden(objects: Objects) -> Iterator[Condition]:
    """Return what events say was forbidden, once for each message; exhausted quotas are told by tools.analyzers.quotas."""
    told: set[str] = set()
    for event in objects.all("Event"):
        text = event_message(event)
        refused = _FORBIDDEN.search(text)
        if (
            refused
            and "exceeded quota" not in text
            and text not in told
            and objects.recent(event_time(event), _RECENT_S)
        ):
            told.add(text)
            target = event.get("involvedObject") or event.get("regarding") or {}
            yield Condition(str(target.get("kind", "Event")), str(target.get("namespace") or ""), str(target.get("name") or ""),
                            "forbidden", f"{text} ({event_count(event)} times)", "grant the account that right with a Role and a RoleBinding",
                            "critical", event_time(event))  # fmt: skip


def _wildcards(role: Obj) -> Iterator[Condition]:
    labels = meta(role).get("labels") or {}
    if _SYSTEM.search(name(role)) or labels.get("kubernetes.io/bootstrapping") or namespace(role) == "kube-system":
        return
    for rule in dicts(role.get("rules")):
        stars = [field for field in ("verbs", "resources", "apiGroups") if "*" in (rule.get(field) or [])]
        if "verbs" in stars or "resources" in stars:
            yield found(role, "rbac_wildcard", f"a rule allows * for {' and '.join(stars)}", "name what is needed")
            return
