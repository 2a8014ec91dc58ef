"""What the two Kubernetes identities may do, as the API server itself says (SelfSubjectAccessReview).

The reader must be able to read what evidence is made of, and to write nothing. The actor must have exactly the verbs of
the changes in tools/actions. deploy/kustomize grants both; tests compare it with the tables here.
"""

import asyncio
from collections.abc import Iterable

import tools.actions
from bot.doctor.check import Check, fail, off, ok, warn
from bot.settings import Settings
from bot.toolbox import kube_of
from tools.errors import TocsinError
from tools.kube import Kube
from tools.registry import plugins

Right = tuple[str, str, str]  # API group, resource (or resource/subresource), verb
READS: tuple[Right, ...] = (
    *(("apps", kind, "list") for kind in ("deployments", "statefulsets", "daemonsets", "replicasets")),
    *(("", kind, "list") for kind in ("pods", "services", "events", "nodes")),
    *(("", kind, "list") for kind in ("persistentvolumeclaims", "resourcequotas", "limitranges")),
    *(("networking.k8s.io", kind, "list") for kind in ("ingresses", "networkpolicies")),
    ("autoscaling", "horizontalpodautoscalers", "list"),
    ("policy", "poddisruptionbudgets", "list"),
    ("discovery.k8s.io", "endpointslices", "list"),
    ("", "pods/log", "get"),
)
# What would make a stolen reader dangerous; each is asked on its own, since no API lists everything a role may do.
WRITES: tuple[Right, ...] = (
    ("", "secrets", "get"),
    ("", "secrets", "list"),
    ("", "pods", "create"),
    ("", "pods", "delete"),
    ("", "pods/exec", "create"),
    ("", "configmaps", "update"),
    ("", "nodes", "patch"),
    ("apps", "deployments", "create"),
    ("apps", "deployments", "patch"),
    ("apps", "deployments", "update"),
    ("apps", "deployments", "delete"),
    ("apps", "deployments/scale", "patch"),
    ("apps", "statefulsets", "patch"),
    ("apps", "daemonsets", "patch"),
    ("batch", "jobs", "create"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
    ("*", "*", "*"),
)


def needed() -> tuple[Right, ...]:
    """Return every right that some change inside a namespace needs; changes to nodes (CLUSTER) are granted apart."""
    return _rights(cluster=False)


def _rights(*, cluster: bool) -> tuple[Right, ...]:
    found = plugins(tools.actions).values()
    kept = [action for action in found if getattr(action, "CLUSTER", False) is cluster]
    return tuple(sorted({right for action in kept for right in action.VERBS}))


async def reader(settings: Settings) -> list[Check]:
    """Check that the reading identity reads everything it needs and could change nothing."""
    name = "kubernetes reader"
    kube = kube_of(settings.kubeconfig)
    if kube is None:
        says = "not configured: no pods, events or rollouts in a diagnosis"
        return [off(name, says, "set KUBECONFIG (or KUBECONFIG=in-cluster inside a pod)")]
    try:
        return await _reader(name, kube, _namespaces(settings))
    except TocsinError as error:
        return [fail(name, str(error), "check KUBECONFIG: the address, the certificate and the token in it")]
    finally:
        await kube.aclose()


async def _reader(name: str, kube: Kube, places: list[str]) -> list[Check]:
    missing = await _answers(kube, READS, places, allowed=False)
    excess = await _answers(kube, WRITES, places, allowed=True)
    checks = []
    if missing:
        checks.append(fail(name, f"may not {_listed(missing)}", "bind deploy/kustomize's ClusterRole tocsin-reader"))
    if excess:
        remedy = "give it deploy/kustomize's ClusterRole tocsin-reader and nothing else: it is to read only"
        checks.append(warn(name, f"may also {_listed(excess)}", remedy))
    return checks or [ok(name, f"reads what it needs in {_where(places)}, changes nothing")]


async def actor(settings: Settings) -> list[Check]:
    """Check that the changing identity may do what the changes take, and no more."""
    name = "kubernetes actor"
    kube = kube_of(settings.actor_kubeconfig)
    if kube is None:
        says = "not configured: no change can be planned or carried out"
        return [off(name, says, "set TOCSIN_ACTOR_KUBECONFIG to the actor's kubeconfig")]
    try:
        checks = await _actor(name, kube, _namespaces(settings))
    except TocsinError as error:
        return [
            fail(name, str(error), "check TOCSIN_ACTOR_KUBECONFIG: the address, the certificate and the token in it")
        ]
    finally:
        await kube.aclose()
    if settings.actor_kubeconfig == settings.kubeconfig:
        says = "the same kubeconfig as the reader's: what reads can also change"
        checks.append(warn(name, says, "give the actor a ServiceAccount of its own (deploy/kustomize has one)"))
    return checks


async def _actor(name: str, kube: Kube, places: list[str]) -> list[Check]:
    rights, may = needed(), {*needed(), *_rights(cluster=True)}
    missing = await _answers(kube, rights, places, allowed=False)
    excess = await _answers(kube, [right for right in WRITES if right not in may], places, allowed=True)
    checks = []
    if missing:
        remedy = "bind deploy/kustomize's ClusterRole tocsin-actor to it in these namespaces"
        checks.append(fail(name, f"may not {_listed(missing)}", remedy))
    if excess:
        remedy = "give it deploy/kustomize's ClusterRole tocsin-actor and nothing else"
        checks.append(warn(name, f"may also {_listed(excess)}, which no change here needs", remedy))
    return checks or [ok(name, f"has exactly the {len(rights)} rights that the changes need in {_where(places)}")]


async def _answers(kube: Kube, rights: Iterable[Right], places: list[str], *, allowed: bool) -> list[tuple[Right, str]]:
    """Return the rights, with their namespace, for which the API server's answer is *allowed*."""
    asked = [(right, place) for place in places for right in rights]
    said = await asyncio.gather(*(_may(kube, right, place) for right, place in asked))
    return [question for question, answer in zip(asked, said, strict=True) if answer is allowed]


async def _may(kube: Kube, right: Right, namespace: str) -> bool:
    group, resource, verb = right
    kind, _, subresource = resource.partition("/")
    return await kube.can_i(verb, group, kind, namespace, subresource)


def _namespaces(settings: Settings) -> list[str]:
    """Return the namespaces that policy names; all of them at once ("") when it names none."""
    return sorted({service.namespace for service in settings.policy.services.values() if service.namespace}) or [""]


def _where(places: list[str]) -> str:
    return ", ".join(places) if places != [""] else "every namespace"


def _listed(found: list[tuple[Right, str]]) -> str:
    words = [f"{verb} {resource}{f' in {place}' if place else ''}" for (_, resource, verb), place in found]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
