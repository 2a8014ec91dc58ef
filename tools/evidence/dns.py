"""Whether the cluster's own DNS answers: the pods behind kube-dns (CoreDNS) in kube-system.

Without it every service's calls fail with lookup errors. Use it whenever names cannot be resolved, or many services fail at once.
"""

from typing import Any

from tools.kube import Kube, NotFound
from tools.observe import Seen, missing, observe
from tools.records import Evidence, Finding, Scalar, Scope
from tools.sources import Sources
from tools.workloads import items, name_of

NEEDS = "kube"
PLACE, LABEL = "kube-system", "k8s-app=kube-dns"  # what kubeadm, GKE, EKS, AKS and k3s give CoreDNS and kube-dns


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Look at the DNS pods, now."""
    kube = sources.kube
    if kube is None:
        return missing("dns", "Kubernetes cluster", sources, "KUBECONFIG")
    return await observe("dns", "The cluster's DNS", sources, lambda seen: _look(seen, scope, kube))


async def _read(seen: Seen, kube: Kube, path: str) -> list[dict[str, Any]]:
    try:
        return items(await kube.get(seen.ask(path), {"labelSelector": LABEL}), path)
    except NotFound:
        return []


async def _look(seen: Seen, scope: Scope, kube: Kube) -> None:
    pods = await _read(seen, kube, f"/api/v1/namespaces/{PLACE}/pods")
    ready = [pod for pod in pods if _ready(pod)]
    if ready:
        seen.summary = f"{len(ready)} of {len(pods)} DNS pods are ready"
        return
    deployments = await _read(seen, kube, f"/apis/apps/v1/namespaces/{PLACE}/deployments")
    if not pods and not deployments:
        seen.summary = f"no pod in {PLACE} is labelled {LABEL}: the cluster's DNS is not known"
        return
    name = name_of(deployments[0]) if deployments else "kube-dns"
    said = f"{name}, the cluster's DNS, has no ready pod ({len(pods)} there): names cannot be looked up"
    data: dict[str, Scalar] = {"namespace": PLACE, "pods": len(pods)}
    if deployments:
        data["deployment"] = name
    seen.findings.append(Finding(kind="dns_down", service=name, statement=said, score=0.95, data=data))
    if scope.service and scope.service != name:
        link = f"{scope.service} looks names up through {name}, which has no ready pod"
        peer: dict[str, Scalar] = {"peer": name, "peer_namespace": PLACE}
        seen.findings.append(
            Finding(kind="dependency_errors", service=scope.service, statement=link, score=0.9, data=peer)
        )
    seen.summary = said


def _ready(pod: dict[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
