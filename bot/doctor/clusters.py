"""What the two Kubernetes identities may do, as the API server itself says (SelfSubjectAccessReview).

The reader must be able to read what evidence is made of, and to write nothing. The actor must have exactly the verbs of
the changes in tools/actions. deploy/kustomize grants both; tests compare it with the tables here.
"""

import asyncio
from collections.abc import Iterable

import tools.actions
from bot.connections import Cluster
from bot.doctor.check import Check, fail, off, ok, warn
from bot.settings import Settings
from bot.toolbox import kube_of
from tools.errors import TocsinError
from tools.kube import Kube
from tools.registry import plugins

Right = tuple[str, str, str]  # API group, resource (or resource/subresource), verb
READS: tuple[Right, ...] = (
    *(("apps", kind, "list") for kind in ("deployments", "statefulsets", "daemonsets", "replicasets")),
    ("apps", "controllerrevisions", "list"),
    *(("", kind, "list") for kind in ("pods", "services", "events", "nodes", "namespaces")),
    *(("", kind, "list") for kind in ("persistentvolumeclaims", "resourcequotas", "limitranges")),
    *(("networking.k8s.io", kind, "list") for kind in ("ingresses", "networkpolicies")),
    ("autoscaling", "horizontalpodautoscalers", "list"),
    ("policy", "poddisruptionbudgets", "list"),
    *(("batch", kind, "list") for kind in ("jobs", "cronjobs")),
    ("discovery.k8s.io", "endpointslices", "list"),
    ("", "pods/log", "get"),
)
# Read where a workload says that one of these delivers it (certificates: where cert-manager is), and done without otherwise.
DELIVERY: tuple[Right, ...] = (
    ("argoproj.io", "applications", "list"),
    ("helm.toolkit.fluxcd.io", "helmreleases", "list"),
    ("kustomize.toolkit.fluxcd.io", "kustomizations", "list"),
    ("cert-manager.io", "certificates", "list"),
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
    """Check in each cluster that the reading identity reads everything it needs and could change nothing."""
    found = await asyncio.gather(
        *(_reads(name, cluster, _namespaces(settings)) for name, cluster in settings.clusters.items())
    )
    return [check for checks in found for check in checks] + await _told_apart(settings)


async def _reads(cluster: str, reached: Cluster, places: list[str]) -> list[Check]:
    name = _title("kubernetes reader", cluster)
    kube = kube_of(reached.kubeconfig, reached.context, cluster)
    if kube is None:
        says = "not configured: no pods, events or rollouts in a diagnosis"
        return [off(name, says, _remedy("KUBECONFIG (or KUBECONFIG=in-cluster inside a pod)", cluster, "kube"))]
    try:
        return await _reader(name, kube, places)
    except TocsinError as error:
        return [fail(name, str(error), "check KUBECONFIG: the address, the certificate and the token in it")]
    finally:
        await kube.aclose()


def _title(name: str, cluster: str) -> str:
    return f"{name} ({cluster})" if cluster else name


def _remedy(variable: str, cluster: str, key: str) -> str:
    return f"set clusters.{cluster}.{key} in tocsin.yaml" if cluster else f"set {variable}"


async def _told_apart(settings: Settings) -> list[Check]:
    """Compare where the names of tocsin.yaml lead: two names must not reach one cluster, nor a name's identities two."""
    if list(settings.clusters) == [""]:
        return []
    asked = [
        (name, role, kube)
        for name, one in settings.clusters.items()
        for role, kube in (
            ("kube", kube_of(one.kubeconfig, one.context, name)),
            ("actor", kube_of(one.actor_kubeconfig, one.actor_context, name)),
        )
        if kube is not None
    ]
    marks = await asyncio.gather(*(_mark(kube) for _, _, kube in asked))
    checks, seen = [], dict[str, str]()
    for (name, role, _), mark in zip(asked, marks, strict=True):
        if not mark:
            continue
        if seen.setdefault(mark, name) != name:
            says = f"clusters.{name}.{role} reaches the same cluster as clusters.{seen[mark]}"
            checks.append(
                fail(
                    "clusters", says, "give each name its own cluster: a change approved for one would reach the other"
                )
            )
    for name in settings.clusters:
        own = {mark for (called, _, _), mark in zip(asked, marks, strict=True) if called == name and mark}
        if len(own) > 1:
            says = f"clusters.{name}: kube and actor have different addresses"
            remedy = "see that both are of one cluster: else a change hits what nobody looked at"
            checks.append(warn("clusters", says, remedy))
    return checks or [ok("clusters", f"{', '.join(settings.clusters)} are told apart")]


async def _mark(kube: Kube) -> str:
    """Return what tells one cluster from another: the address of its API server, as its kubeconfig has it; "" if unreadable."""
    try:
        return await kube.address()
    except TocsinError:
        return ""
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
    """Check in each cluster that the changing identity may do what the changes take, and no more."""
    found = await asyncio.gather(
        *(_acts(name, cluster, _namespaces(settings)) for name, cluster in settings.clusters.items())
    )
    return [check for checks in found for check in checks]


async def _acts(cluster: str, reached: Cluster, places: list[str]) -> list[Check]:
    name = _title("kubernetes actor", cluster)
    kube = kube_of(reached.actor_kubeconfig, reached.actor_context, cluster)
    if kube is None:
        says = "not configured: no change can be planned or carried out"
        return [off(name, says, _remedy("TOCSIN_ACTOR_KUBECONFIG to the actor's kubeconfig", cluster, "actor"))]
    try:
        checks = await _actor(name, kube, places)
    except TocsinError as error:
        return [
            fail(name, str(error), "check TOCSIN_ACTOR_KUBECONFIG: the address, the certificate and the token in it")
        ]
    finally:
        await kube.aclose()
    if (reached.actor_kubeconfig, reached.actor_context) == (reached.kubeconfig, reached.context):
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
