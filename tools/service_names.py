"""The names a cluster gives its services; bot/labels.py tells a service's name from other words by it."""

from tools.kube import Kube

KINDS = ("deployments", "statefulsets", "daemonsets")
LIMIT = 5000  # names, not objects, are kept; a larger cluster is read this far


async def workloads(kube: Kube) -> frozenset[str]:
    """Return the names of all Deployments, StatefulSets and DaemonSets; raises what *kube* raises."""
    names: set[str] = set()
    for kind in KINDS:
        listed = await kube.get(f"/apis/apps/v1/{kind}", {"limit": str(LIMIT)})
        names |= {str(item["metadata"]["name"]) for item in listed.get("items") or []}
    return frozenset(names)
