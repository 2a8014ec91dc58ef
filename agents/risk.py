"""The risk policy: an action's base risk and the facts about its target in, a risk level with reasons out.

Called where a suggestion becomes a proposal (bot/approvals.py). Pure. Reasons are whole phrases for the approval card. A fact
that is not known counts as no reason, except confidence, which is always known.
"""

from pydantic import Field

from tools.records import Record, Risk

SYSTEM_NAMESPACES = frozenset({
    "kube-system", "kube-public", "kube-node-lease", "istio-system", "linkerd", "cert-manager", "ingress-nginx",
    "monitoring", "calico-system", "gatekeeper-system", "flux-system", "argocd",
})  # fmt: skip
PRODUCTION = frozenset({"prod", "production", "live", "prd"})
ENVIRONMENT_LABELS = ("environment", "env", "stage", "tier", "cluster", "namespace")
LOW_CONFIDENCE = 0.5


class Context(Record):
    """What is known about a change's target and circumstances; None and "" mean not known.

    *replicas* is how many pods the target has now, *to_replicas* how many it would have, *labels* the alert's labels.
    """

    action: str = ""
    namespace: str = ""
    service: str = ""
    labels: dict[str, str] = Field(default={})
    replicas: int | None = None
    to_replicas: int | None = None
    confidence: float = 1.0
    changes_in_flight: int = 0
    key_system: bool = False
    failed_before: int = 0


def assess(base: Risk, context: Context) -> tuple[Risk, tuple[str, ...]]:
    """Return the risk and why: *base* raised one level for each group of facts that makes harm likelier or larger."""
    stakes, doubts = _stakes(context), _doubts(context)
    level = int(base) + bool(stakes) + bool(doubts)
    if context.namespace in SYSTEM_NAMESPACES or context.key_system:
        level = max(level, Risk.HIGH)
    if context.to_replicas == 0:
        level = max(level, Risk.HIGH)
    risk = Risk(min(level, Risk.CRITICAL))
    return risk, (_base_reason(base), *stakes, *doubts)


def _base_reason(base: Risk) -> str:
    words = {
        Risk.LOW: "this action only reads",
        Risk.MEDIUM: "this action can be undone",
        Risk.HIGH: "this action is hard to undo",
        Risk.CRITICAL: "this action cannot be undone",
    }
    return words[base]


def _stakes(context: Context) -> tuple[str, ...]:
    """Say what makes harm larger."""
    reasons = []
    if context.namespace in SYSTEM_NAMESPACES:
        reasons.append(f"{context.namespace} is a system namespace")
    if context.key_system:
        reasons.append(f"{context.service or 'the target'} is marked as a key system")
    if context.replicas == 1 and context.action != "scale":
        reasons.append("it has a single pod, so there is a gap while it is replaced")
    if context.to_replicas == 0:
        reasons.append("it would leave no pod running")
    named = next((context.labels[key] for key in ENVIRONMENT_LABELS if _production(context.labels.get(key, ""))), "")
    if named or _production(context.namespace):
        reasons.append(f"it is production ({named or context.namespace})")
    return tuple(reasons)


def _doubts(context: Context) -> tuple[str, ...]:
    """Say what makes harm likelier."""
    reasons = []
    if context.confidence < LOW_CONFIDENCE:
        reasons.append(f"the diagnosis is only {context.confidence:.0%} sure")
    if context.changes_in_flight:
        reasons.append("another change to the same target is under way")
    if context.failed_before:
        reasons.append("the same change has not helped before")
    return tuple(reasons)


def _production(value: str) -> bool:
    return any(part in PRODUCTION for part in value.lower().replace("_", "-").split("-"))
