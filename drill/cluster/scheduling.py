"""Where a pod may run, and why it may not, in the scheduler's words; used by the kubelet stand-in."""

from collections import Counter

from drill.cluster.objects import Obj, matches_labels, quantity

_APART = "node(s) didn't match pod affinity rules"


def why_unschedulable(pod: Obj, nodes: list[Obj], pods: list[Obj]) -> tuple[Obj | None, str]:
    """Return the emptiest fitting node, or None and the reason: cordon, selector, CPU or memory requests."""
    reasons: Counter[str] = Counter()
    fitting: list[tuple[float, str, Obj]] = []
    need = _requests(pod)
    for node in nodes:
        name = node["metadata"]["name"]
        here = [each for each in pods if each["spec"].get("nodeName") == name]
        used = [_requests(each) for each in here if each["status"].get("phase") not in ("Succeeded", "Failed")]
        why = _refusal(pod, node, need, used) or ("" if _beside(pod, here) else _APART)
        if why:
            reasons[why] += 1
        else:
            fitting.append((sum(each["cpu"] for each in used), name, node))
    if fitting:
        return min(fitting)[2], ""
    parts = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
    return None, f"0/{len(nodes)} nodes are available: {parts}."


def _beside(pod: Obj, here: list[Obj]) -> bool:
    """Whether the node has the pods that required pod affinity asks for (topology: the node)."""
    affinity = (pod["spec"].get("affinity") or {}).get("podAffinity") or {}
    for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
        spaces = term.get("namespaces") or [pod["metadata"]["namespace"]]
        if not any(
            each["metadata"]["namespace"] in spaces
            and matches_labels(term.get("labelSelector") or {}, each["metadata"].get("labels") or {})
            for each in here
        ):
            return False
    return True


def _refusal(pod: Obj, node: Obj, need: dict[str, float], used: list[dict[str, float]]) -> str:
    if node["spec"].get("unschedulable"):
        return "node(s) were unschedulable"
    labels = node["metadata"].get("labels", {})
    if any(labels.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return "node(s) didn't match Pod's node affinity/selector"
    for resource in ("cpu", "memory"):
        room = quantity(node["status"]["allocatable"][resource]) - sum(each[resource] for each in used)
        if need[resource] > room:
            return f"Insufficient {resource}"
    return ""


def _requests(pod: Obj) -> dict[str, float]:
    total = {"cpu": 0.0, "memory": 0.0}
    for container in pod["spec"]["containers"]:
        resources = container.get("resources", {})
        asked = (resources.get("limits") or {}) | (resources.get("requests") or {})
        for key in total:
            total[key] += quantity(asked.get(key, "0"))
    return total
