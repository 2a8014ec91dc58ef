"""Autoscalers, budgets, quotas, webhooks, configuration, access and certificates: each condition, and a healthy look-alike."""

import base64
import json
from datetime import timedelta

import pytest

from tests.unit.analyzers.samples import NOW, ago, cond, event, notes, obj, pod, problems, service, workload
from tools.analyzers.certificates import validity
from tools.analyzers.quotas import quantity

CPU = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]
FED = workload(pod_spec={"containers": [{"name": "app", "resources": {"requests": {"cpu": "1"}}}]})


def hpa(*conditions, target="Deployment", current=2, desired=2, **status):
    return obj(
        "HorizontalPodAutoscaler",
        "cart",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": target, "name": "cart"},
            "minReplicas": 1,
            "maxReplicas": 5,
            "metrics": CPU,
        },
        status={"currentReplicas": current, "desiredReplicas": desired, "conditions": list(conditions)} | status,
    )


def pdb(allowed=1, healthy=3, expected=3, desired=2, **spec):
    return obj(
        "PodDisruptionBudget",
        "cart",
        spec={"minAvailable": 2} | spec,
        status={
            "disruptionsAllowed": allowed,
            "currentHealthy": healthy,
            "expectedPods": expected,
            "desiredHealthy": desired,
        },
    )


def quota(used, **hard):
    return obj("ResourceQuota", "small", spec={"hard": hard}, status={"hard": hard, "used": used})


def hook(policy="Fail", name="cart"):
    return obj(
        "ValidatingWebhookConfiguration",
        "guard",
        ns="",
        webhooks=[
            {"name": "v.x", "failurePolicy": policy, "clientConfig": {"service": {"namespace": "shop", "name": name}}}
        ],
    )


def user(**spec):
    return obj(
        "Pod",
        "cart-1",
        labels={"app": "cart"},
        spec={"containers": [{"name": "app", **spec.pop("container", {})}], **spec},
        status={"phase": "Running", "conditions": [cond("Ready", "True")]},
    )


def config(name="app", **data):
    return obj("ConfigMap", name, data=data or {"a": "1"})


def secret(name="db", type_="Opaque", **data):
    return obj("Secret", name, type=type_, data=data or {"a": "YQ=="})


def der(*parts: bytes, tag: int = 0x30) -> bytes:
    body = b"".join(parts)
    head = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2)
    return bytes([tag]) + head + body


def tls(days: float, name="web"):
    """A certificate's frame: version, serial, algorithm, issuer, validity, subject."""
    start, end = ((NOW + timedelta(days=d)).strftime("%y%m%d%H%M%SZ").encode() for d in (days - 90, days))
    period = der(der(start, tag=0x17), der(end, tag=0x17))
    cert = der(
        der(der(b"\x02", tag=0x02), tag=0xA0),
        der(b"\x01", tag=0x02),
        der(),
        der(der(b"x" * 200, tag=0x0C)),
        period,
        der(),
    )
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der(cert, der())) + b"-----END CERTIFICATE-----\n"
    return secret(name, "kubernetes.io/tls", **{"tls.crt": base64.b64encode(pem).decode()})


def cert(days: float, *conditions):
    return obj(
        "Certificate",
        "web",
        spec={"secretName": "web"},
        status={"notAfter": ago(-days * 86400), "notBefore": ago((90 - days) * 86400), "conditions": list(conditions)},
    )


ENV = {
    "container": {
        "envFrom": [{"configMapRef": {"name": "app"}}],
        "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "db", "key": "a"}}}],
    }
}
FORBIDDEN = 'deployments.apps is forbidden: User "system:serviceaccount:shop:cart" cannot list resource "deployments"'
QUOTA = 'pods "cart-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
LIMIT = 'pods "cart-x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi'
WIDE = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]

SICK = {
    "hpa bad": ({"hpa_bad"}, [hpa(cond("AbleToScale", "False", "FailedGetScale", "no"))]),
    "hpa full": ({"hpa_at_maximum"}, [hpa(cond("ScalingLimited", "True", "TooManyReplicas", "more"), current=5, desired=5)]),
    "hpa target": ({"target_missing"}, [hpa(), workload(name="pay")]),
    "hpa kind": ({"target_unsupported"}, [hpa(target="DaemonSet")]),
    "hpa no requests": ({"no_requests"}, [hpa(), workload()]),
    "hpa metric": ({"metric_unavailable"}, [hpa(cond("ScalingActive", "False", "FailedGetResourceMetric", "no metrics"))]),
    "pdb": ({"pdb_blocks"}, [pdb(allowed=0, healthy=2)]),
    "pdb of all": ({"pdb_blocks"}, [pdb(allowed=0, healthy=3, desired=3, minAvailable="100%")]),
    "quota full": ({"quota_exhausted"}, [quota({"pods": "2", "requests.cpu": "500m"}, **{"pods": "2", "requests.cpu": "1"})]),
    "quota refuses": ({"quota_refuses", "failed_create"}, [quota({"pods": "2"}, pods="2"), event("ReplicaSet", "cart-x", "FailedCreate", QUOTA)]),
    "limits refuse": ({"limit_range_refuses", "failed_create"}, [obj("LimitRange", "lim"), event("ReplicaSet", "cart-x", "FailedCreate", LIMIT)]),
    "hook without service": ({"webhook_service_missing"}, [hook(name="gone"), service(selector=None)]),
    "hook without pods": ({"webhook_no_pods", "no_endpoints"}, [hook(), service(), pod("web-1", labels={"app": "web"})]),
    "configmap missing": ({"configmap_missing"}, [user(**ENV), config("other"), secret()]),
    "secret missing": ({"secret_missing"}, [user(**ENV), config(), secret("other")]),
    "key missing": ({"secret_key_missing"}, [user(**ENV), config(), secret(b="YQ==")]),
    "volume missing": ({"configmap_missing"}, [user(volumes=[{"name": "v", "configMap": {"name": "gone"}}]), config("other")]),
    "empty configmap": ({"configmap_empty"}, [obj("ConfigMap", "app")]),
    "empty secret": ({"secret_empty"}, [obj("Secret", "db", type="Opaque")]),
    "large": ({"configmap_too_large"}, [config(a="x" * 1_000_100)]),
    "account": ({"service_account_missing"}, [user(serviceAccountName="cart"), obj("ServiceAccount", "default")]),
    "forbidden": ({"forbidden"}, [pod(), event("Pod", "cart-1", "Failed", FORBIDDEN)]),
    "role": ({"role_missing"}, [obj("RoleBinding", "rb", roleRef={"kind": "Role", "name": "gone"}), obj("Role", "other", rules=[])]),
    "wildcards": ({"rbac_wildcard"}, [obj("ClusterRole", "mine", ns="", rules=WIDE)]),
    "hpa of autoscaling/v1": ({"metric_unavailable"}, [obj("HorizontalPodAutoscaler", "cart", meta={"annotations": {
        "autoscaling.alpha.kubernetes.io/conditions": json.dumps([cond("ScalingActive", "False", "FailedGetResourceMetric", "no metrics")])}},
        spec={"scaleTargetRef": {"kind": "Deployment", "name": "cart"}, "maxReplicas": 5})]),
    "expired": ({"certificate_expired"}, [tls(-1)]),
    "expiring": ({"certificate_expiring"}, [tls(5)]),
    "expired, cert-manager": ({"certificate_expired"}, [cert(-1, cond("Ready", "False", "Expired"))]),
    "expiring, cert-manager": ({"certificate_expiring"}, [cert(5, cond("Ready", "True"))]),
    "not issued": ({"certificate_not_ready"}, [cert(60, cond("Ready", "False", "Failed", "order failed"))]),
    "an event of what is not shown": ({"unschedulable"}, [event("Pod", "x", "FailedScheduling", "0/3 nodes are available")]),
    "pulls of what is not shown": ({"image_pull"}, [event("Pod", "x", "BackOff", 'Back-off pulling image "a:b"')]),
}  # fmt: skip

WELL = {
    "hpa": [hpa(cond("ScalingActive", "True"), cond("AbleToScale", "True"), cond("ScalingLimited", "False")), FED],
    "hpa at its minimum": [hpa(cond("ScalingLimited", "True", "TooFewReplicas", "below the minimum"), current=1, desired=1), FED],
    "hpa of something scaled to zero": [hpa(cond("ScalingActive", "False", "ScalingDisabled"), current=0, desired=0), FED],
    "hpa alone": [hpa()],
    "hpa of its own kind": [obj("HorizontalPodAutoscaler", "r", spec={"scaleTargetRef": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}})],
    "hpa with limits for requests": [hpa(), workload(pod_spec={"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]})],
    "pdb": [pdb(), pdb(allowed=0, healthy=0, expected=0, desired=0)],
    "quota": [quota({"pods": "1", "services.loadbalancers": "0", "requests.memory": "1Gi"},
                    **{"pods": "2", "services.loadbalancers": "0", "requests.memory": "2048Mi"})],
    "limits": [obj("LimitRange", "lim")],
    "hook": [hook(), service(), pod()],
    "hook by url": [obj("MutatingWebhookConfiguration", "m", ns="", webhooks=[{"name": "a", "clientConfig": {"url": "https://x"}}])],
    "hook alone": [hook()],
    "all there": [user(**ENV), config(), secret()],
    "a pod alone": [user(serviceAccountName="cart", **ENV)],
    "optional": [user(volumes=[{"name": "v", "configMap": {"name": "gone", "optional": True}}]), config()],
    "another namespace's are listed": [user(**ENV), obj("ConfigMap", "x", ns="web", data={"a": "1"})],
    "completed": [obj("Pod", "x", spec={"serviceAccountName": "gone"}, status={"phase": "Succeeded"}), obj("ServiceAccount", "default")],
    "root ca": [obj("ConfigMap", "kube-root-ca.crt", data={"ca.crt": "x"})],
    "account": [user(serviceAccountName="cart"), obj("ServiceAccount", "cart")],
    "system roles": [obj("ClusterRole", name, ns="", rules=WIDE) for name in ("cluster-admin", "system:controller:x", "admin")],
    "valid": [tls(60), cert(60, cond("Ready", "True"))],
    "issuing": [obj("Certificate", "new", age=30, spec={"secretName": "n"}, status={"conditions": [cond("Ready", "False", "DoesNotExist", at=30),
                cond("Issuing", "True", at=30)]})],
    "a token": [secret("t", "kubernetes.io/service-account-token")],
    "events of what came up in the end": [event("Pod", "x", "FailedScheduling", "0/3 nodes are available", at=90),
        event("Pod", "x", "Started", "Started container app", type_="Normal", at=40)],
    "hpa of v2beta1": [obj("HorizontalPodAutoscaler", "cart", spec={"scaleTargetRef": {"kind": "Deployment", "name": "cart"}, "maxReplicas": 5,
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "targetAverageValue": "500m"}}]}), workload()],
    "normal events": [event("Pod", "x", "Scheduled", "Successfully assigned", type_="Normal"), event("Pod", "x", "Unhealthy", "probe", count=1)],
    "events of what is gone": [pod(), event("Pod", "cart-0", "BackOff", "Back-off restarting failed container")],
    "old events": [event("Pod", "x", "FailedScheduling", "0/3 nodes", at=9000), event("Node", "n1", "Starting", "up", ns="", at=1, type_="Normal")],
}  # fmt: skip


@pytest.mark.parametrize(("conditions", "items"), SICK.values(), ids=SICK)
def test_what_is_wrong_is_named(conditions, items):
    assert problems(*items) == conditions


@pytest.mark.parametrize("items", WELL.values(), ids=WELL)
def test_what_is_healthy_is_no_finding(items):
    assert problems(*items) == set()


def test_what_is_only_worth_knowing_is_a_note():
    assert notes(user(), config(), secret()) == {"configmap_unused", "secret_unused"}


def test_a_webhook_that_is_skipped_is_told_so():
    from tests.unit.analyzers.samples import look

    told = [
        each
        for each in look(hook("Ignore", "gone"), service(selector=None))
        if each.condition == "webhook_service_missing"
    ]
    assert told[0].severity == "warning"
    assert "failurePolicy Ignore" in told[0].why


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", 0.5), ("2Gi", 2**31), ("1k", 1000), ("1e3", 1000), ("x", None), (None, None), ("1.2.3", None)],
)
def test_quantities(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize("raw", [b"", b"\x30", b"\x30\x03abc", b"\x30\x80", b"\x30\x04\x30\x02\x17\x00"])
def test_what_is_no_certificate_is_refused(raw):
    with pytest.raises((ValueError, IndexError)):
        validity(raw)
