"""What the agents' tests share: an alert, evidence tools that answer from a list, and the three practice cases as evidence."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from agents.ports import ActionSpec, Limits, Service
from tools.records import Alert, Evidence, Finding, Recalled, Scalar, Scope

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ONSET = NOW - timedelta(seconds=30)
SERVICES = {
    "frontend": Service(namespace="shop", depends_on=("checkout", "catalogue")),
    "checkout": Service(namespace="shop", depends_on=("payment", "cart")),
    "payment": Service(namespace="shop"),
    "cart": Service(namespace="shop"),
}


def clock() -> datetime:
    return NOW


def alert(service: str = "checkout", **changes: object) -> Alert:
    fields = {
        "fingerprint": "f1",
        "sender": "alertmanager",
        "name": "HighErrorRate",
        "status": "firing",
        "severity": "critical",
        "labels": {"service": service, "namespace": "shop"},
        "annotations": {"summary": f"{service} answers too many errors"},
        "starts_at": ONSET,
        "query": 'sum(rate(http_requests_total{code=~"5.."}[20s])) > 0.05',
    }
    return Alert.model_validate({**fields, **changes})


def finding(
    kind: str, service: str, statement: str, score: float = 0.9, minutes: float | None = None, **data: Scalar
) -> Finding:
    """A finding *minutes* before the onset."""
    at = None if minutes is None else ONSET - timedelta(minutes=minutes)
    return Finding(kind=kind, service=service, statement=statement, score=score, at=at, data=data)


def seen(tool: str, service: str, *findings: Finding, **changes: object) -> Evidence:
    lines = [each.statement for each in findings]
    fields = {
        "tool": tool,
        "title": f"{tool} of {service}",
        "query": f"{tool}({service})",
        "summary": lines[0] if lines else "nothing unusual",
        "body": "\n".join(lines),
        "findings": findings,
        "started_at": NOW,
    }
    return Evidence.model_validate({**fields, **changes})


class Tool:
    """Answers by service from a table; what is missing is an empty look."""

    def __init__(self, name: str, answers: Mapping[str, Evidence | Exception | float] = {}) -> None:
        self.name = name
        self.description = f"Shows {name.replace('_', ' ')} of one service."
        self.answers = answers
        self.asked: list[Scope] = []

    async def collect(self, scope: Scope) -> Evidence:
        self.asked.append(scope)
        answer = self.answers.get(scope.service, seen(self.name, scope.service))
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return seen(self.name, scope.service)
        return answer


NAMES = ("alert_query", "changes", "kubernetes", "logs", "service_metrics")


def tools(**answers: Mapping[str, Evidence | Exception | float]) -> list[Tool]:
    return [Tool(name, answers.get(name, {})) for name in NAMES]


class Shelf:
    """A knowledge port that recalls what it was given, and remembers what it was asked."""

    def __init__(self, *books: Recalled) -> None:
        self.books = books
        self.asked: list[tuple[str, str, str, int]] = []

    async def recall(self, text: str, service: str, severity: str, limit: int) -> list[Recalled]:
        self.asked.append((text, service, severity, limit))
        return list(self.books[:limit])

    async def keep(self, lesson: object) -> None:
        raise AssertionError(f"an investigation keeps no lesson: {lesson}")


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid")
    namespace: str
    deployment: str


class _Undo(_Target):
    to_revision: int | None = None


class _Scale(_Target):
    replicas: int


def _spec(description: str, params: type[BaseModel]) -> ActionSpec:
    return ActionSpec(
        description,
        params.model_json_schema(),
        lambda given: params.model_validate(dict(given)).model_dump(exclude_none=True),
    )


ACTIONS = {
    "rollout_restart": _spec("Restart all pods.", _Target),
    "rollout_undo": _spec("Go back to the previous revision.", _Undo),
    "scale": _spec("Set the number of pods.", _Scale),
}
LIMITS = Limits(tool_s=0.3, gather_s=0.6, recall_s=0.3)


def errors_shift(service: str, score: float = 0.9) -> Finding:
    return finding(
        "metric_shift",
        service,
        f"{service} errors rose from 0.1 % to 42 %",
        score,
        signal="errors",
        before=0.001,
        after=0.42,
        ratio=420.0,
    )


def crossed(service: str) -> Finding:
    return finding("alert_value", service, "0.42 is above 0.05", 0.6, 0, value=0.42, threshold=0.05)


def bad_rollout() -> list[Tool]:
    rollout = finding(
        "rollout", "checkout", "checkout was rolled out: image shop/checkout:v1 -> shop/checkout:v2", 0.9, 1,
        revision="2", previous_revision="1", what="image", before="shop/checkout:v1", after="shop/checkout:v2",
        namespace="shop", deployment="checkout",
    )  # fmt: skip
    line = finding(
        "log_template",
        "checkout",
        'ERROR column "coupon_id" does not exist (x120, new)',
        0.9,
        template='ERROR column "coupon_id" does not exist',
        count=120,
        new=True,
        level="error",
    )
    return tools(
        alert_query={"checkout": seen("alert_query", "checkout", crossed("checkout"))},
        changes={"checkout": seen("changes", "checkout", rollout)},
        logs={"checkout": seen("logs", "checkout", line)},
        service_metrics={"checkout": seen("service_metrics", "checkout", errors_shift("checkout"))},
    )


def oom_kill() -> list[Tool]:
    rollout = finding(
        "rollout", "cart", "cart was rolled out: memory limit 256Mi -> 64Mi", 0.9, 2,
        revision="5", previous_revision="4", what="limits", before="memory=256Mi", after="memory=64Mi",
        namespace="shop", deployment="cart",
    )  # fmt: skip
    return tools(
        alert_query={"cart": seen("alert_query", "cart", crossed("cart"))},
        changes={"cart": seen("changes", "cart", rollout)},
        kubernetes={
            "cart": seen(
                "kubernetes", "cart",
                finding("crash_loop", "cart", "2 of 2 pods of cart are in CrashLoopBackOff", 0.9, 0.5),
                finding("oom_killed", "cart", "cart-1 was OOM-killed 4 times", 0.95, 1, namespace="shop", deployment="cart"),
            )
        },
        service_metrics={"cart": seen("service_metrics", "cart", errors_shift("cart"))},
    )  # fmt: skip


def dependency_down() -> list[Tool]:
    refused = finding(
        "log_template",
        "checkout",
        "ERROR dial tcp payment:8080: connection refused (x300, new)",
        0.9,
        template="dial tcp payment:8080: connection refused",
        count=300,
        new=True,
        level="error",
        peer="payment:8080",
    )
    calls = finding(
        "dependency_errors", "checkout", "100 % of calls from checkout to payment fail", 0.95, peer="payment", ratio=1.0
    )
    gone = finding(
        "scaled_to_zero", "payment", "payment is scaled to 0 replicas", 1.0, 1, namespace="shop", deployment="payment"
    )
    scaled = finding(
        "scaled",
        "payment",
        "payment was scaled from 2 to 0",
        0.9,
        1,
        namespace="shop",
        deployment="payment",
        to=0,
        **{"from": 2},
    )
    return tools(
        alert_query={"checkout": seen("alert_query", "checkout", crossed("checkout"))},
        changes={"payment": seen("changes", "payment", scaled)},
        kubernetes={"payment": seen("kubernetes", "payment", gone)},
        logs={"checkout": seen("logs", "checkout", refused)},
        service_metrics={"checkout": seen("service_metrics", "checkout", errors_shift("checkout"), calls)},
    )
