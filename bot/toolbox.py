"""Clients and plug-ins built from settings, in the shapes that agents/ports.py asks for; for bot/compose.py and commands."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from inspect import getdoc
from types import ModuleType

from pydantic import ValidationError

from agents.ports import ActionSpec, Limits, ModelSettings, Service
from bot.policy import Policy
from bot.settings import Settings, bearer
from tools import actions, evidence
from tools.alertmanager import Alertmanager
from tools.elastic import Elastic
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
    """One evidence plug-in with its sources."""

    name: str
    description: str
    module: ModuleType
    sources: Sources

    async def collect(self, scope: Scope) -> Evidence:
        """Look once."""
        seen: Evidence = await self.module.collect(scope, self.sources)
        return seen


def kube_of(kubeconfig: str) -> Kube | None:
    """Return a cluster client for a kubeconfig's path, for "in-cluster" (the pod's own account), or None for ""."""
    if not kubeconfig:
        return None
    return Kube(None if kubeconfig == IN_CLUSTER else kubeconfig)


def sources_of(settings: Settings, clock: Callable[[], datetime]) -> Sources:
    """Build the read-only clients that *settings* configures; nothing is connected yet."""
    prometheus = settings.prometheus_url and Prometheus(settings.prometheus_url, bearer(settings.prometheus_token))
    loki = settings.loki_url and Loki(settings.loki_url, bearer(settings.loki_token, settings.loki_tenant))
    alerts = settings.alertmanager_url and Alertmanager(settings.alertmanager_url, bearer(settings.alertmanager_token))
    return Sources(
        prometheus=prometheus or None,
        loki=loki or None,
        kube=kube_of(settings.kubeconfig),
        alertmanager=alerts or None,
        elastic=elastic_of(settings),
        traces=traces_of(settings),
        clock=clock,
        max_body_chars=settings.policy.evidence.max_chars,
        declared=declared_calls(settings.policy),
    )


def declared_calls(policy: Policy) -> tuple[tuple[str, str], ...]:
    """Return who calls whom as policy says it: (caller, callee)."""
    return tuple((name, callee) for name, service in policy.services.items() for callee in service.depends_on)


def elastic_of(settings: Settings) -> Elastic | None:
    """Return a client for Elasticsearch or OpenSearch, by API key or by user and password; None when not configured."""
    if not settings.elasticsearch_url:
        return None
    key, secret = settings.elasticsearch_api_key.get_secret_value(), settings.elasticsearch_password.get_secret_value()
    pair = b64encode(f"{settings.elasticsearch_user}:{secret}".encode()).decode()
    said = f"ApiKey {key}" if key else f"Basic {pair}" if settings.elasticsearch_user else ""
    headers = {"Authorization": said} if said else {}
    return Elastic(settings.elasticsearch_url, headers, settings.elasticsearch_index)


def traces_of(settings: Settings) -> Tempo | Jaeger | None:
    """Return a client of the trace store that is configured, Tempo's first."""
    if settings.tempo_url:
        return Tempo(settings.tempo_url, bearer(settings.tempo_token, settings.tempo_tenant))
    return Jaeger(settings.jaeger_url, bearer(settings.jaeger_token)) if settings.jaeger_url else None


def bound_tools(sources: Sources) -> tuple[list[BoundTool], list[str]]:
    """Return the evidence tools whose source is configured, and a sentence for each source that is not."""
    tools: list[BoundTool] = []
    missing: dict[str, list[str]] = {}
    for name, module in plugins(evidence).items():
        if getattr(sources, module.NEEDS) is None:
            missing.setdefault(module.NEEDS, []).append(name.replace("_", " "))
        else:
            tools.append(BoundTool(name, getdoc(module) or name, module, sources))
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
    return {
        name: Service(
            namespace=declared.namespace, deployment=declared.deployment or name, depends_on=declared.depends_on
        )
        for name, declared in policy.services.items()
    }
