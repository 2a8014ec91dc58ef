"""Drain a node: cordon it, then evict its pods one by one, PodDisruptionBudgets respected.

It can be taken up again: a pod that is gone is not evicted twice, and what a PodDisruptionBudget holds back is said and left.
"""

import asyncio
import time

from pydantic import Field

from tools import nodes, pods, targets
from tools.deployments import PROPOSAL, Name, Obj, Refused, TargetChanged, Unclear
from tools.errors import TocsinError
from tools.kube import Kube
from tools.records import Plan, Record, Risk, Suggestion
from tools.workloads import annotations_of

RISK = Risk.HIGH
CLUSTER = True  # its rights are the cluster's, not a namespace's
VERBS = (
    ("", "nodes", "get"), ("", "nodes", "list"), ("", "nodes", "patch"), ("", "pods", "list"),
    ("", "pods/eviction", "create"),
)  # fmt: skip
ASK_AGAIN_S = 2.0


class Params(Record):
    """Which node, what may be lost, and how many seconds to go on asking while a PodDisruptionBudget says no."""

    node: Name
    evict_empty_dir: bool = False
    evict_unmanaged: bool = False
    wait_seconds: int = Field(default=60, ge=0, le=600)


async def plan(params: Params, kube: Kube) -> Plan:
    """Sort the node's pods, and ask for each, without evicting, whether it could go now."""
    target = nodes.target(params.node)
    node = await targets.read(kube, target)
    await nodes.refuse_last(kube, params.node)
    load = await _load(params, kube)
    diff = await targets.dry_run(kube, target, node, nodes.patch(unschedulable=True), "spec")
    version = await pods.eviction_version(kube)
    for pod in load.moves:
        held = await _held(kube, pod, version)
        diff.append(f"- Pod {nodes.full_name(pod)} ({pods.owner(pod) or 'unmanaged'}){held}")
    diff += [f"  Pod {nodes.full_name(pod)} stays: {why}" for pod, why in load.stay]
    if nodes.cordoned(node) and not load.moves:
        raise Refused(f"{target.title} is drained already")
    return targets.make_plan(
        target,
        line=f"Drain node {params.node}: cordon it and evict {len(load.moves)} pods, one by one",
        diff=diff,
        undo="Uncordon the node; the evicted pods stay where they went.",
        precondition=nodes.facts(node) | {"pods": ",".join(sorted(targets.uid_of(pod) for pod in load.moves))},
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Cordon the very node once, then evict those of the planned pods that are still there.

    After the cordon nothing raises: what could not be evicted is said in the answer, and `verify` counts it.
    """
    target = nodes.target(params.node)
    node = await targets.read_planned(kube, target)
    load = await _load(params, kube)
    planned = set(filter(None, plan.precondition.get("pods", "").split(",")))
    new = [nodes.full_name(pod) for pod in load.moves if targets.uid_of(pod) not in planned]
    if new:
        raise TargetChanged(f"{target.title} is no longer what was shown: it also runs {', '.join(new[:5])} now")
    version = await pods.eviction_version(kube)
    if not (annotations_of(node).get(PROPOSAL) == proposal_id and nodes.cordoned(node)):  # else: taken up again
        await targets.write(kube, target, plan, nodes.facts, nodes.patch(unschedulable=True), proposal_id)
    return await _evict_all(kube, load.moves, version, params.wait_seconds)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether the node is cordoned by this proposal and empty; Unclear, with the number left, when only the first is so."""
    if not await targets.applied(kube, nodes.target(params.node), proposal_id):
        return False
    left = (await nodes.load(kube, params.node, empty_dir=True, unmanaged=True)).moves
    if left:
        raise Unclear(f"Node {params.node} was cordoned by this change, but {len(left)} pods are still on it")
    return True


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the node is cordoned and empty but for what stays."""
    if not nodes.cordoned(await targets.read(kube, nodes.target(params.node))):
        return False, "somebody uncordoned the node in the meantime"
    load = await nodes.load(kube, params.node, empty_dir=True, unmanaged=True)
    going = [pod for pod, _ in load.stay if pod["metadata"].get("deletionTimestamp")]
    if load.moves:
        return None, f"{len(load.moves)} pods are still on the node: {', '.join(map(nodes.full_name, load.moves[:5]))}"
    return (None, f"{len(going)} pods are terminating") if going else (True, "the node is drained")


def undo(params: Params, plan: Plan) -> Suggestion | None:
    """Return the uncordon, unless the node was cordoned before."""
    if plan.precondition.get("cordoned") != "false":
        return None
    return Suggestion(action="uncordon", params={"node": params.node}, why="Lets new pods onto the node again.")


async def _load(params: Params, kube: Kube) -> nodes.Load:
    load = await nodes.load(kube, params.node, empty_dir=params.evict_empty_dir, unmanaged=params.evict_unmanaged)
    if load.stop:
        said = "; ".join(f"{nodes.full_name(pod)}: {why}" for pod, why in load.stop[:5])
        raise Refused(f"Node {params.node} cannot be drained: {said}")
    if len(load.moves) > nodes.MOST_PODS:
        raise Refused(
            f"Node {params.node} runs {len(load.moves)} pods; more than {nodes.MOST_PODS} are drained by hand"
        )
    return load


async def _held(kube: Kube, pod: Obj, version: str) -> str:
    try:
        await pods.evict(kube, pod, version, dry_run=True)
    except pods.Blocked:
        return ", held back by its PodDisruptionBudget now"
    return ""


async def _evict_all(kube: Kube, wanted: list[Obj], version: str, wait_s: float) -> str:
    """Evict in turn; asking again for the same uid is safe, so a lost answer is asked again as well."""
    until, left = time.monotonic() + wait_s, list(wanted)
    while True:
        held: list[tuple[Obj, str]] = []
        for pod in left:
            try:
                await pods.evict(kube, pod, version, dry_run=False)
            except TocsinError as exc:
                held.append((pod, str(exc)))
        left = [pod for pod, _ in held]
        if not left:
            return f"cordoned, {len(wanted)} pods evicted"
        if time.monotonic() + ASK_AGAIN_S > until:
            said = "; ".join(why for _, why in held[:3])
            return f"cordoned, {len(wanted) - len(left)} of {len(wanted)} pods evicted; {len(left)} are left: {said}"
        await asyncio.sleep(ASK_AGAIN_S)
