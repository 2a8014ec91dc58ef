"""HorizontalPodAutoscalers that cannot scale or are at their end, PodDisruptionBudgets that allow no eviction."""

import json
from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    condition,
    dicts,
    found,
    meta,
    name,
    namespace,
    number,
    pod_spec,
    said,
    spec,
    status,
)
from tools.prometheus import moment

TARGETS = {"Deployment", "ReplicaSet", "StatefulSet", "ReplicationController"}
V1_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_FRESH_S = 60  # the first metrics take about this long
_METRICS = ("FailedGet", "InvalidMetric", "FailedCompute", "FailedFetch")


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every HorizontalPodAutoscaler and PodDisruptionBudget."""
    for hpa in objects.all("HorizontalPodAutoscaler"):
        yield from _hpa(hpa, objects)
    for budget in objects.all("PodDisruptionBudget"):
        yield from _budget(budget, objects)


def _hpa(hpa: Obj, objects: Objects) -> Iterator[Condition]:
    target = spec(hpa).get("scaleTargetRef") or {}
    kind, called = str(target.get("kind") or ""), str(target.get("name") or "")
    custom = "/" in str(target.get("apiVersion") or "") and not str(target.get("apiVersion")).startswith(
        ("apps/", "extensions/")
    )
    obj = objects.get(kind, namespace(hpa), called)
    if kind not in TARGETS and not custom:
        yield found(hpa, "target_unsupported", f"target {kind}/{called} is of a kind that cannot be scaled",
                    f"name a {', '.join(sorted(TARGETS))}", "critical")  # fmt: skip
    elif obj is None and objects.missing(kind, namespace(hpa), called):
        yield found(
            hpa,
            "target_missing",
            f"target {kind}/{called} does not exist",
            "correct scaleTargetRef or create the target",
            "critical",
        )
    elif obj is not None:
        yield from _requests(hpa, obj)
    yield from _conditions(hpa, objects)


def _requests(hpa: Obj, target: Obj) -> Iterator[Condition]:
    """Return the containers without the requests that a utilisation target is a share of."""
    wanted = {str((m.get("resource") or {}).get("name")) for m in dicts(spec(hpa).get("metrics")) if m.get("type") == "Resource"
              and (((m.get("resource") or {}).get("target") or {}).get("type") or "Utilization") == "Utilization"
              and "targetAverageValue" not in (m.get("resource") or {})}  # fmt: skip
    wanted |= {"cpu"} if spec(hpa).get("targetCPUUtilizationPercentage") is not None else set()
    bare = [f"{c.get('name')} ({resource})" for c in dicts(pod_spec(target).get("containers")) for resource in sorted(wanted)
            if resource not in {**((c.get("resources") or {}).get("limits") or {}), **((c.get("resources") or {}).get("requests") or {})}]  # fmt: skip
    if bare and status(hpa) and _condition(hpa, "ScalingActive").get("status") == "True":
        return  # it works: a LimitRange gives the requests
    if bare:
        yield found(hpa, "no_requests", f"containers without the resource requests it measures by: {', '.join(bare)}",
                    "set resources.requests on every container of the target")  # fmt: skip


def _conditions(hpa: Obj, objects: Objects) -> Iterator[Condition]:
    active, able, limited = (_condition(hpa, kind) for kind in ("ScalingActive", "AbleToScale", "ScalingLimited"))
    at = moment(active.get("lastTransitionTime"))
    if (
        active.get("status") == "False"
        and active.get("reason") != "ScalingDisabled"
        and not objects.younger(hpa, _FRESH_S)
    ):
        reason = str(active.get("reason") or "")
        if reason.startswith(_METRICS):
            yield found(hpa, "metric_unavailable", f"its metric is not available: {said(active)}",
                        "check metrics-server or the custom metrics adapter, and the pods' requests", "critical", at)  # fmt: skip
        else:
            yield found(
                hpa, "hpa_bad", f"ScalingActive is False: {said(active)}", "mend what the message names", "critical", at
            )
    if able.get("status") == "False" and able.get("reason") != "BackoffBoth":
        yield found(hpa, "hpa_bad", f"AbleToScale is False: {said(able)}", "mend what the message names", "critical",
                    moment(able.get("lastTransitionTime")))  # fmt: skip
    most = number(spec(hpa).get("maxReplicas"))
    full = number(status(hpa).get("currentReplicas")) >= most > number(spec(hpa).get("minReplicas"), 1)
    wants_more = limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas"
    if wants_more or (full and number(status(hpa).get("desiredReplicas")) >= most and not limited):
        yield found(hpa, "hpa_at_maximum", f"at its maximum of {most} replicas" + (f": {said(limited)}" if wants_more else ""),
                    "raise maxReplicas, or find what makes the load", "warning", moment(limited.get("lastTransitionTime")))  # fmt: skip


def _condition(hpa: Obj, kind: str) -> Obj:
    """Return a condition; autoscaling/v1 has no field for them and keeps them as JSON in an annotation."""
    kept = (meta(hpa).get("annotations") or {}).get(V1_CONDITIONS)
    try:
        told = dicts(json.loads(str(kept))) if kept else []
    except ValueError:
        told = []
    return condition(hpa, kind) or next((each for each in told if each.get("type") == kind), {})


def _budget(budget: Obj, objects: Objects) -> Iterator[Condition]:
    state = status(budget)
    allowed = condition(budget, "DisruptionAllowed")
    expected, healthy = number(state.get("expectedPods")), number(state.get("currentHealthy"))
    none_allowed = state.get("disruptionsAllowed") == 0 and expected > 0
    if allowed.get("reason") == "SyncFailed" and allowed.get("status") == "False":
        yield found(
            budget,
            "pdb_blocks",
            f"its pods cannot be counted, so it allows no eviction: {said(allowed)}",
            "mend what the message names",
        )
    elif none_allowed and not objects.younger(budget, _FRESH_S):
        wanted = number(state.get("desiredHealthy"))
        why = "more must be healthy than are" if healthy < wanted else "every pod must stay"
        yield found(budget, "pdb_blocks", f"allows no eviction ({why}): {healthy} of {expected} pods healthy, {wanted} must be; {_rule(budget)}",
                    "mend the unhealthy pods, add replicas or loosen the budget; until then nodes cannot be drained")  # fmt: skip


def _rule(budget: Obj) -> str:
    inner = spec(budget)
    rule = next((f"{key} {inner[key]}" for key in ("minAvailable", "maxUnavailable") if key in inner), "no rule")
    return f"{rule} of {name(budget)}"
