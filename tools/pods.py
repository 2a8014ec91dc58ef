"""What changes to single pods share: who owns a pod, whether it is stuck, and asking the API server to evict it.

Called by delete_pod, evict_pod and drain_node of tools.actions.
"""

from datetime import UTC, datetime

from tools import targets
from tools.deployments import Obj, Refused
from tools.errors import Temporary
from tools.kube import Kube, NotFound
from tools.targets import Target
from tools.workloads import annotations_of

MIRROR = "kubernetes.io/config.mirror"
RESTARTS = 3  # fewer are a start that went wrong, not a loop
# Of waiting containers; see kubernetes/pkg/kubelet/{container,images}
_STUCK = frozenset({
    "CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "InvalidImageName", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError",
})  # fmt: skip


class Blocked(Refused):
    """A PodDisruptionBudget does not allow the eviction now."""


def target(namespace: str, pod: str) -> Target:
    """Return the pod as a target."""
    return Target("Pod", "/api/v1", "pods", namespace, pod)


def controller(pod: Obj) -> Obj:
    """Return the owner reference of the pod's controller, {} when nothing would make it again."""
    owners = pod["metadata"].get("ownerReferences") or []
    return next((ref for ref in owners if ref.get("controller") and ref.get("kind") != "Node"), {})


def owner(pod: Obj) -> str:
    """Return ``ReplicaSet checkout-abc``, "" for an unmanaged pod."""
    ref = controller(pod)
    return f"{ref.get('kind', '')} {ref.get('name', '')}".strip()


def is_mirror(pod: Obj) -> bool:
    """Whether the pod only shows a static pod of its node, which the API cannot remove."""
    return MIRROR in annotations_of(pod)


def finished(pod: Obj) -> bool:
    """Whether its containers have ended for good."""
    return targets.status_of(pod).get("phase") in {"Succeeded", "Failed"}


def refuse_unmanaged(pod: Obj, title: str) -> None:
    """Raise Refused when no controller would make the pod again."""
    if is_mirror(pod):
        raise Refused(f"{title} mirrors a static pod of its node; change the node's manifest instead")
    if not controller(pod):
        raise Refused(f"{title} has no controller: nothing would make it again")


def stuck(pod: Obj, now: datetime) -> str:
    """Return in what way the pod is stuck, "" when it is not."""
    status, deleted = targets.status_of(pod), str(pod["metadata"].get("deletionTimestamp") or "")
    if deleted:  # the API server writes the end of the grace period here
        late = (now - datetime.fromisoformat(deleted).astimezone(UTC)).total_seconds()
        return "Terminating past its grace period" if late > 0 else ""
    if status.get("phase") in {"Unknown", "Failed"}:
        return f"{status['phase']} {status.get('reason') or ''}".strip()
    for each in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        why = str(((each.get("state") or {}).get("waiting") or {}).get("reason", ""))
        if why in _STUCK:
            return why
        loops = int(each.get("restartCount") or 0) >= RESTARTS and (each.get("lastState") or {}).get("terminated")
        if loops and not each.get("ready"):
            return "CrashLoopBackOff"
    return ""


async def evict(kube: Kube, pod: Obj, version: str, *, dry_run: bool) -> bool:
    """Ask for the eviction of that very pod (its uid); False when it is gone already; Blocked with the server's reason."""
    meta = pod["metadata"]
    where = target(str(meta["namespace"]), str(meta["name"]))
    body = {
        "apiVersion": version,
        "kind": "Eviction",
        "metadata": {"name": where.name, "namespace": where.namespace},
        "deleteOptions": {"preconditions": {"uid": meta["uid"]}},
    }
    try:
        await kube.post(f"{where.path}/eviction", body, dry_run=dry_run)
    except NotFound:
        return False
    except Temporary as exc:
        if "HTTP 429" in str(exc) and "disruption budget" in str(exc):
            raise Blocked(f"{where.title} may not be evicted now: {str(exc).partition('HTTP 429: ')[2]}") from exc
        raise
    return True


async def eviction_version(kube: Kube) -> str:
    """Return the version of Eviction that the API server takes: policy/v1 from Kubernetes 1.22 on, v1beta1 before."""
    resources = (await kube.get("/api/v1")).get("resources") or []
    row: Obj = next((row for row in resources if row.get("name") == "pods/eviction"), {})
    return f"{row.get('group', 'policy')}/{row.get('version', 'v1')}"
