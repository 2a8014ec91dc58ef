"""Clients and plug-ins built from settings, in the shapes that agents/ports.py asks for; for bot/compose.py and commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from inspect import getdoc
from types import ModuleType

from pydantic import ValidationError

from agents.ports import ActionSpec, Limits, ModelSettings, Service
from bot.connections import Cluster
from bot.policy import Policy
from bot.settings import Settings
from bot.topology_file import read_calls
from tools import actions, evidence
from tools.alertmanager import Alertmanager
from tools.clusters import Actors, Clusters, Views
from tools.elastic import Elastic
from tools.errors import Permanent
from tools.jaeger import Jaeger
from tools.kube import Kube
from tools.loki import Loki
from tools.prometheus import Prometheus
from tools.records import Evidence, Scalar, Scope
from tools.registry import plugins
from tools.sources import Sources
from tools.tempo import Tempo

IN_CLUSTER = "in-cluster"
WORDS = {
    "prometheus": "PROMETHEUS_URL", "logs": "LOKI_URL", "traces": "JAEGER_URL or TEMPO_URL", "kube": "KUBECONFIG",
    "topology": "PROMETHEUS_URL, JAEGER_URL, TEMPO_URL or KUBECONFIG",
}  # fmt: skip


@dataclass(frozen=True)
class BoundTool:
    """One evidence plug-in with the sources of every cluster."""

    name: str
    description: str
    module: ModuleType
    views: Views

    async def collect(self, scope: Scope) -> Evidence:
        """Look once, at the scope's cluster and no other; the evidence says which where there are several."""
        try:
            sources = self.views.of(scope.cluster)
        except Permanent as error:
            title = f"{self.name.replace('_', ' ')} of {scope.service or scope.alert.name}"
            return Evidence(
                tool=self.name, title=title, query="(nothing was asked)", error=str(error), started_at=scope.end
            )
        seen: Evidence = await self.module.collect(scope.model_copy(update={"cluster": sources.cluster}), sources)
        return _in_cluster(seen, sources.cluster)


def _in_cluster(seen: Evidence, name: str) -> Evidence:
    if not name:
        return seen
    findings = tuple(each.model_copy(update={"data": {**each.data, "cluster": name}}) for each in seen.findings)
    return seen.model_copy(update={"title": f"{seen.title} in cluster {name}", "findings": findings})


def kube_of(kubeconfig: str, context: str = "", cluster: str = "") -> Kube | None:
    """Return a cluster client for a kubeconfig's path, for "in-cluster" (the pod's own account), or None for "".

    *cluster* is the name that tocsin.yaml gives the cluster.
    """
    if not kubeconfig:
        return None
    return Kube(None if kubeconfig == IN_CLUSTER else kubeconfig, context or None, cluster=cluster)


def clusters_of(settings: Settings) -> Clusters:
    """Return the names of the clusters that *settings* configures."""
    policy = settings.policy
    names = tuple(settings.clusters)
    return Clusters(
        names,
        policy.default_cluster or (names[0] if len(names) == 1 else ""),
        {other: name for name, section in policy.clusters.items() for other in section.also_called},
        policy.cluster_labels,
    )


def views_of(settings: Settings, clock: Callable[[], datetime]) -> Views:
    """Build the read-only clients of every cluster; nothing is connected yet."""
    clusters = clusters_of(settings)
    return Views(clusters, {name: sources_of(settings, clock, name) for name in clusters.names})


def actors_of(settings: Settings) -> Actors:
    """Build the identities that may write, one for each cluster that has one; nothing is connected yet."""
    found = {name: kube_of(each.actor_kubeconfig, each.actor_context, name) for name, each in settings.clusters.items()}
    return Actors(clusters_of(settings), {name: kube for name, kube in found.items() if kube is not None})


def sources_of(settings: Settings, clock: Callable[[], datetime], name: str = "") -> Sources:
    """Build the read-only clients of the cluster *name* ("" where there is one); nothing is connected yet."""
    cluster = settings.clusters[name]
    return Sources(
        prometheus=prometheus_of(cluster),
        loki=loki_of(cluster),
        kube=kube_of(cluster.kubeconfig, cluster.context, name),
        alertmanager=alertmanager_of(cluster),
        elastic=elastic_of(cluster),
        traces=traces_of(cluster),
        clock=clock,
        max_body_chars=settings.policy.evidence.max_chars,
        declared=declared_calls(settings.policy),
        cluster=name,
        repositories=cluster.repositories,
    )


def prometheus_of(cluster: Cluster, timeout_s: float = 10.0) -> Prometheus | None:
    """Return a client of the cluster's Prometheus, None where none is configured."""
    found = cluster.servers.get("prometheus")
    return Prometheus(found.url, timeout_s=timeout_s, access=found.access) if found else None


def loki_of(cluster: Cluster, timeout_s: float = 10.0) -> Loki | None:
    """Return a client of the cluster's Loki, None where none is configured."""
    found = cluster.servers.get("loki")
    return Loki(found.url, timeout_s=timeout_s, access=found.access) if found else None


def alertmanager_of(cluster: Cluster, timeout_s: float = 5.0) -> Alertmanager | None:
    """Return a client of the cluster's Alertmanager, None where none is configured."""
    found = cluster.servers.get("alertmanager")
    return Alertmanager(found.url, timeout_s=timeout_s, access=found.access) if found else None


def elastic_of(cluster: Cluster) -> Elastic | None:
    """Return a client for Elasticsearch or OpenSearch, None where none is configured."""
    found = cluster.servers.get("elasticsearch")
    return Elastic(found.url, index=found.index, access=found.access) if found else None


def traces_of(cluster: Cluster) -> Tempo | Jaeger | None:
    """Return a client of the trace store that is configured, Tempo's first."""
    if found := cluster.servers.get("tempo"):
        return Tempo(found.url, access=found.access)
    found = cluster.servers.get("jaeger")
    return Jaeger(found.url, access=found.access) if found else None


def declared_calls(policy: Policy) -> tuple[tuple[str, str], ...]:
    """Return who calls whom as policy and the file it names say it: (caller, callee)."""
    own = [(name, callee) for name, service in policy.services.items() for callee in service.depends_on]
    return tuple(dict.fromkeys([*own, *read_calls(policy.topology)[0]]))


def bound_tools(seen_with: Views | Sources) -> tuple[list[BoundTool], list[str]]:
    """Return the evidence tools whose source is configured anywhere, and a sentence for each source that is not."""
    views = seen_with if isinstance(seen_with, Views) else Views.one(seen_with)
    tools: list[BoundTool] = []
    missing: dict[str, list[str]] = {}
    for name, module in plugins(evidence).items():
        if all(getattr(sources, module.NEEDS) is None for sources in views.by_name.values()):
            missing.setdefault(module.NEEDS, []).append(name.replace("_", " "))
        else:
            tools.append(BoundTool(name, getdoc(module) or name, module, views))
    return tools, [f"{', '.join(names)}: {WORDS.get(source, source)} is not set" for source, names in missing.items()]


def action_specs() -> dict[str, ActionSpec]:
    """Return what each change takes, for the diagnosis to name one; nothing in it can carry a change out."""
    return {
        name: ActionSpec(
            description=(getdoc(module) or name).partition("\n\n")[0],
            schema=module.Params.model_json_schema(),
            validate=partial(_validate, module),
        )
        for name, module in plugins(actions).items()
    }


def _validate(module: ModuleType, params: Mapping[str, Scalar]) -> dict[str, Scalar]:
    try:
        checked: dict[str, Scalar] = module.Params.model_validate(dict(params)).model_dump(exclude_none=True)
    except ValidationError as error:
        raise ValueError("; ".join(f"{item['loc']}: {item['msg']}" for item in error.errors())) from error
    return checked


def limits_of(policy: Policy) -> Limits:
    """Return the windows and deadlines of one investigation."""
    seen = policy.evidence
    return Limits(
        tool_s=seen.deadline_seconds,
        gather_s=seen.deadline_seconds * 1.5,
        metrics_minutes=max(1, round(seen.metrics_minutes)),
        logs_minutes=max(1, round(seen.logs_minutes)),
        body_chars=seen.max_chars,
    )


def model_of(settings: Settings) -> ModelSettings | None:
    """Return the model's endpoint and budgets, None when no model is configured."""
    if not settings.model_configured:
        return None
    budgets, prices = settings.policy.budgets, settings.policy.model
    return ModelSettings(
        base_url=settings.openai_base_url,
        api_key=settings.openai_api_key,
        name=settings.openai_model,
        timeout_s=prices.timeout_seconds,
        max_calls=budgets.model_calls,
        max_tokens=budgets.model_tokens,
        max_usd=budgets.model_usd,
        max_tools=budgets.tools,
        budget_s=budgets.seconds,
        usd_per_1m_prompt=prices.usd_per_1m_prompt,
        usd_per_1m_completion=prices.usd_per_1m_completion,
        context_tokens=prices.context_tokens,
    )


def services_of(policy: Policy) -> dict[str, Service]:
    """Return what policy says about services, in the agents' words."""
    calls: dict[str, tuple[str, ...]] = {}
    for caller, callee in declared_calls(policy):
        calls[caller] = (*calls.get(caller, ()), callee)
    return {
        name: Service(
            namespace=declared.namespace, deployment=declared.deployment or name, depends_on=calls.get(name, ())
        )
        for name, declared in policy.services.items()
    }
