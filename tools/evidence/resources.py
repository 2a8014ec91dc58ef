"""What the service's pods stand on: how full their volumes are, how busy their nodes, and who else keeps those nodes busy.

From kubelet, cAdvisor and kube-state-metrics. Use it when a service is slow or fails to write and nothing of its own changed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tools import families
from tools.levels import human
from tools.observe import Seen, missing, observe
from tools.prometheus import Prometheus, Sample
from tools.records import Evidence, Finding, Scope
from tools.selectors import exactly, matcher, selector
from tools.sources import Sources

NEEDS = "prometheus"
FULL = 0.03  # of a volume free: the critical bound of kubernetes-mixin's KubePersistentVolumeFillingUp
BUSY = 0.85  # of a node's CPU: from there on its pods wait for their turn
HOG = 0.5  # of a node's CPU taken by one pod that is not the service's
MAX_NODES, MAX_CLAIMS = 20, 20


@dataclass(frozen=True)
class _Pod:
    """One pod of a node: who made it, and the CPU cores that it uses."""

    namespace: str
    name: str
    node: str
    owner: str
    owner_kind: str
    cores: float

    @property
    def workload(self) -> str:
        """The Deployment's name where a ReplicaSet made the pod (its name is the Deployment's and a hash)."""
        return self.owner.rpartition("-")[0] if self.owner_kind == "ReplicaSet" else self.owner or self.name


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Look at the volumes and nodes under the service's pods, now."""
    prometheus = sources.prometheus
    if prometheus is None:
        return missing("resources", "Prometheus", sources, "PROMETHEUS_URL")
    title = f"Volumes and nodes under {scope.service or 'the service'}"
    return await observe("resources", title, sources, lambda seen: _look(seen, scope, prometheus))


async def _look(seen: Seen, scope: Scope, prometheus: Prometheus) -> None:
    if not scope.service:
        raise ValueError("the alert names no service, so the pods whose volumes and nodes matter are not known")
    pods = families.pods_of(scope)
    await _volumes(seen, scope, prometheus, pods)
    await _nodes(seen, scope, prometheus, pods)
    if seen.findings:
        seen.findings.sort(key=lambda finding: -finding.score)
        seen.summary = seen.findings[0].statement
    elif seen.body:
        seen.summary = "its volumes have room and its nodes are not out of CPU"
    else:
        seen.summary = f"Prometheus has no kube-state-metrics or kubelet series of {scope.service}'s pods"


def _any(label: str, names: Sequence[str]) -> str:
    return matcher(label, "=~", "|".join(exactly(name) for name in names))


async def _volumes(seen: Seen, scope: Scope, prometheus: Prometheus, pods: tuple[str, ...]) -> None:
    mounted = seen.ask(selector(*pods, name="kube_pod_spec_volumes_persistentvolumeclaims_info"))
    rows = await prometheus.query(mounted, scope.end)
    claims = sorted({(row.labels.get("namespace", ""), row.labels.get("persistentvolumeclaim", "")) for row in rows})[
        :MAX_CLAIMS
    ]
    if not claims:
        return
    names = _any("persistentvolumeclaim", [name for _, name in claims])
    place = _any("namespace", sorted({space for space, _ in claims}))
    for what, free, size in (
        ("space", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"),
        ("inodes", "kubelet_volume_stats_inodes_free", "kubelet_volume_stats_inodes"),
    ):
        by = "max by (namespace, persistentvolumeclaim)"
        left = await prometheus.query(seen.ask(f"{by} ({selector(place, names, name=free)})"), scope.end)
        whole = await prometheus.query(seen.ask(f"{by} ({selector(place, names, name=size)})"), scope.end)
        sizes = {_claim(row): row.value for row in whole}
        for row in left:
            total = sizes.get(_claim(row), 0.0)
            if total > 0 and _claim(row) in claims:
                _volume(seen, scope, row, what, total)


def _claim(row: Sample) -> tuple[str, str]:
    return row.labels.get("namespace", ""), row.labels.get("persistentvolumeclaim", "")


def _volume(seen: Seen, scope: Scope, row: Sample, what: str, total: float) -> None:
    namespace, claim = _claim(row)
    used = 1 - row.value / total
    size = human(total, "bytes") if what == "space" else f"{total:.0f} inodes"
    said = f"volume {claim} of {scope.service} is {used:.1%} full ({what}, {size})"
    seen.body.append(said)
    if row.value / total <= FULL:
        seen.findings.append(
            Finding(
                kind="volume_full", service=scope.service, statement=said, score=0.95,
                data={"namespace": namespace, "claim": claim, "used": round(used, 4), "bytes": total, "what": what},
            )
        )  # fmt: skip


async def _nodes(seen: Seen, scope: Scope, prometheus: Prometheus, pods: tuple[str, ...]) -> None:
    own = await prometheus.query(seen.ask(selector(*pods, name="kube_pod_info")), scope.end)
    mine = {(row.labels.get("namespace", ""), row.labels.get("pod", "")) for row in own}
    nodes = sorted({row.labels["node"] for row in own if row.labels.get("node")})[:MAX_NODES]
    if not nodes:
        return
    which = _any("node", nodes)
    room = selector(which, matcher("resource", "=", "cpu"), name="kube_node_status_allocatable")
    cores = {row.labels.get("node", ""): row.value
             for row in await prometheus.query(seen.ask(f"max by (node) ({room})"), scope.end)}  # fmt: skip
    everyone = await _pods(seen, scope, prometheus, which)
    for node in nodes:
        here = sorted((pod for pod in everyone if pod.node == node), key=lambda pod: -pod.cores)
        total = sum(pod.cores for pod in here)
        if not cores.get(node) or not here:
            continue
        top = ", ".join(f"{pod.namespace}/{pod.name} {pod.cores:.2f}" for pod in here[:3])
        seen.body.append(f"node {node}: {total:.2f} of {cores[node]:g} CPU cores used; most by {top}")
        worst = here[0]
        if (
            total >= BUSY * cores[node]
            and worst.cores >= HOG * cores[node]
            and (worst.namespace, worst.name) not in mine
        ):
            seen.findings.append(await _noisy(seen, scope, prometheus, worst, cores[node]))


async def _pods(seen: Seen, scope: Scope, prometheus: Prometheus, nodes: str) -> list[_Pod]:
    """Return every pod on *nodes* with the CPU that it uses."""
    usage = "container_cpu_usage_seconds_total"
    running = matcher("container", "!~", "|POD")
    scraped = await prometheus.query(f"max(count_over_time({selector(running, name=usage)}[300s]))", scope.end)
    if not scraped:
        return []
    window = max(families.SCRAPES_PER_WINDOW * 300 / max(scraped[0].value, 1.0), families.MIN_WINDOW_S)
    labels = "namespace, pod, node, created_by_kind, created_by_name"
    # The last two scrapes: what keeps the node busy now, also a pod that has just come.
    rate = f"sum by (namespace, pod) (irate({selector(running, name=usage)}[{window:.0f}s]))"
    query = f"{rate} * on (namespace, pod) group_left (node, created_by_kind, created_by_name) max by ({labels}) ({selector(nodes, name='kube_pod_info')})"
    rows = await prometheus.query(seen.ask(query), scope.end)
    return [
        _Pod(row.labels.get("namespace", ""), row.labels.get("pod", ""), row.labels.get("node", ""),
             row.labels.get("created_by_name", ""), row.labels.get("created_by_kind", ""), row.value)
        for row in rows if math.isfinite(row.value)
    ]  # fmt: skip


async def _noisy(seen: Seen, scope: Scope, prometheus: Prometheus, pod: _Pod, cores: float) -> Finding:
    where = (matcher("namespace", "=", pod.namespace), matcher("pod", "=", pod.name), matcher("resource", "=", "cpu"))
    found = {}
    for part in ("requests", "limits"):
        rows = await prometheus.query(
            seen.ask(f"sum({selector(*where, name=f'kube_pod_container_resource_{part}')})"), scope.end
        )
        found[part] = rows[0].value if rows else 0.0
    limit = f"a CPU limit of {found['limits']:g}" if found["limits"] else "no CPU limit"
    said = (
        f"{pod.namespace}/{pod.workload} uses {pod.cores:.1f} of the {cores:g} CPU cores of node {pod.node}, where "
        f"{scope.service} runs; it asked for {found['requests']:g} and has {limit}"
    )
    kind = {"deployment": pod.workload} if pod.owner_kind == "ReplicaSet" else {}
    return Finding(
        kind="noisy_neighbour", service=pod.workload, statement=said, score=0.95,
        data={"namespace": pod.namespace, "node": pod.node, "cores": round(pod.cores, 2), "of": cores,
              "request": found["requests"], "limit": found["limits"], "harms": scope.service, "pod": pod.name, **kind},
    )  # fmt: skip
