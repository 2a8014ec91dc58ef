"""The risk policy: an action's base risk and the facts about its target in, a risk level with reasons out.

Called where a suggestion becomes a proposal (bot/approvals/planning.py). Pure. Reasons are whole phrases for the approval
card. What makes harm larger (stakes) and what makes it likelier (doubts) raise the level by one each, however many they are;
some facts set a floor. A fact that is not known is said so, and is a doubt wherever the action writes.
"""

from collections.abc import Mapping

from pydantic import Field

from tools.records import Record, Risk

SYSTEM_NAMESPACES = frozenset({
    "kube-system", "kube-public", "kube-node-lease", "istio-system", "linkerd", "cert-manager", "ingress-nginx",
    "monitoring", "calico-system", "gatekeeper-system", "flux-system", "argocd",
})  # fmt: skip
PRODUCTION = frozenset({"prod", "production", "live", "prd"})
ENVIRONMENT_LABELS = ("environment", "env", "stage", "tier", "cluster", "namespace")
LOW_CONFIDENCE = 0.5
# What Kubernetes itself takes away at most in a rollout (Deployment's default maxUnavailable); more is a decision.
LARGE_SHARE = 0.25
MOST_OF_IT = 0.5


class Context(Record):
    """What is known about a change's target and circumstances; None and "" mean that nothing speaks of it.

    *labels* are the alert's, *target_labels* the target's own and its namespace's. *replicas* is how many pods the target
    has now, *to_replicas* how many it would have. *share* (0..1) is how much of a fleet is taken away, *share_of* in words.
    *stateful*, *budget*, *freeze* and *in_flight* are phrases. *unknown* names the facts that could not be read.
    *requester_unknown* says why nobody knows who asks: from HIGH on two people then decide, since one may be who asked.
    """

    action: str = ""
    namespace: str = ""
    service: str = ""
    labels: dict[str, str] = Field(default={})
    target_labels: dict[str, str] = Field(default={})
    replicas: int | None = None
    to_replicas: int | None = None
    takes_pods: bool = True
    share: float | None = None
    share_of: str = ""
    stateful: str = ""
    budget: str = ""
    freeze: str = ""
    business_hours: bool = False
    confidence: float = 1.0
    changes_in_flight: int = 0
    in_flight: str = ""
    key_system: bool = False
    failed_before: int = 0
    other_cluster: str = ""
    requester_unknown: str = ""
    unknown: tuple[str, ...] = ()


def assess(base: Risk, context: Context) -> tuple[Risk, tuple[str, ...]]:
    """Return the risk and why: *base* raised one level for each group of facts that makes harm likelier or larger."""
    stakes, doubts = _stakes(context), _doubts(base, context)
    level = int(base) + bool(stakes) + bool(doubts)
    if _grave(base, context):
        level = max(level, Risk.HIGH)
    unproved = context.requester_unknown if level >= Risk.HIGH else ""
    risk = Risk.CRITICAL if unproved else Risk(min(level, Risk.CRITICAL))
    return risk, (_base_reason(base), *stakes, *doubts, *([unproved] if unproved else ()))


def _grave(base: Risk, context: Context) -> bool:
    """Whether a fact alone makes a change HIGH at least."""
    if context.namespace in SYSTEM_NAMESPACES or context.key_system or context.to_replicas == 0:
        return True
    return base >= Risk.MEDIUM and (bool(context.freeze) or (context.share or 0) > MOST_OF_IT)


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
    if context.replicas == 1 and context.action != "scale" and context.takes_pods:
        reasons.append("it has a single pod, so there is a gap while it is replaced")
    if context.to_replicas == 0:
        reasons.append("it would leave no pod running")
    if context.share is not None and context.share > LARGE_SHARE:
        reasons.append(f"it takes away {context.share:.0%} at once ({context.share_of})")
    if context.stateful:
        reasons.append(context.stateful)
    production = _production_of(context)
    if production:
        reasons.append(f"it is production ({production})")
    if context.business_hours:
        reasons.append("it is business hours, when most people use it")
    return tuple(reasons)


def _doubts(base: Risk, context: Context) -> tuple[str, ...]:
    """Say what makes harm likelier."""
    reasons = []
    if context.confidence < LOW_CONFIDENCE:
        reasons.append(f"the diagnosis is only {context.confidence:.0%} sure")
    if context.changes_in_flight:
        reasons.append(context.in_flight or "another change to the same target is under way")
    if context.failed_before:
        reasons.append("the same change has not helped before")
    if context.budget:
        reasons.append(context.budget)
    if context.freeze:
        reasons.append(context.freeze)
    if context.other_cluster:
        reasons.append(context.other_cluster)
    if context.unknown and base > Risk.LOW:
        reasons.append(f"not known: {', '.join(dict.fromkeys(context.unknown))}")
    return tuple(reasons)


def _production_of(context: Context) -> str:
    """Return the label's value or the namespace that says production: of the target, its namespace or the alert."""
    return (
        _named(context.target_labels)
        or _named(context.labels)
        or (context.namespace if _production(context.namespace) else "")
    )


def _named(labels: Mapping[str, str]) -> str:
    said = ((key.rpartition("/")[2], value) for key, value in labels.items())  # "example.org/env" too
    return next((value for key, value in said if key in ENVIRONMENT_LABELS and _production(value)), "")


def _production(value: str) -> bool:
    return any(part in PRODUCTION for part in value.lower().replace("_", "-").split("-"))
