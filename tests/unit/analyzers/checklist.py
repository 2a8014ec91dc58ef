"""The field's checklist of Kubernetes conditions: for each line its name in Tocsin, objects that have it, and look-alikes that do not.

`python -m tests.unit.analyzers.checklist > docs/conditions.md` writes the page; test_checklist.py judges both sides of each line.
The lines are facts from k8sgpt's analyzers (Apache-2.0) and what its users report as false alarms.
"""

import sys

from tests.unit.analyzers.samples import ago, cond, ended, event, obj, pod, service, waiting, workload
from tests.unit.analyzers.test_network_storage_nodes import (
    BACKEND,
    EGRESS,
    ENDS,
    FAILED,
    NGINX,
    NO_CLASS,
    claim,
    gateway,
    ingress,
    klass,
    node,
    policy,
    route,
    slice_,
)
from tests.unit.analyzers.test_pods import pending
from tests.unit.analyzers.test_policies import (  # fmt: skip
    ENV,
    FED,
    FORBIDDEN,
    LIMIT,
    WIDE,
    cert,
    config,
    hook,
    hpa,
    pdb,
    quota,
    secret,
    tls,
    user,
)
from tests.unit.analyzers.test_policies import QUOTA as REFUSED
from tests.unit.analyzers.test_workloads import DONE, OTHER, QUOTA, ROLLING, STUCK, cron, job  # fmt: skip
from tests.unit.analyzers.test_workloads import FAILED as JOB_FAILED

STARTING = [pod(phase="Pending", ready=False, state=waiting("ContainerCreating"), age=5)]
PLACED = [pod()]
RS = {"meta": {"ownerReferences": [{"kind": "Deployment", "name": "cart"}]}, "spec": {"replicas": 2}}


def unplaced(message, reason="Unschedulable", **rest):
    return [pending(reason, message, **rest)]


def waits(reason, **rest):
    return [pod(phase="Pending", ready=False, state=waiting(reason, "what the runtime says"), **rest)]


def loops(reason="Error", code=1, **more):
    return [
        pod(ready=False, state=waiting("CrashLoopBackOff"), last=ended(reason, code, **more), restarts=6),
    ]


def refused_rs(message):
    return [obj("ReplicaSet", "cart-x", **RS, status={"replicas": 0}), event("ReplicaSet", "cart-x", "FailedCreate", message)]  # fmt: skip


MADE_RS = [obj("ReplicaSet", "cart-x", **RS, status={"replicas": 2, "availableReplicas": 2}), event("ReplicaSet", "cart-x", "FailedCreate", QUOTA)]  # fmt: skip
ONCE_FAILED = [pod(last=ended("Error", 1, at=300), restarts=2)]

# line of the checklist: (condition in Tocsin, analyzer, objects that have it, healthy look-alike)
CASES = {
    # Pod
    "Pod unschedulable: resources": ("unschedulable", "pods", unplaced("0/3 nodes are available: 3 Insufficient cpu."), unplaced("0/3 nodes are available: 3 Insufficient cpu.", age=4)),
    "Pod unschedulable: taint": ("unschedulable", "pods", unplaced("1 node(s) had untolerated taint {a: b}"), PLACED),
    "Pod unschedulable: affinity": ("unschedulable", "pods", unplaced("node(s) didn't match pod anti-affinity rules"), PLACED),
    "Pod unschedulable: selector": ("unschedulable", "pods", unplaced("node(s) didn't match Pod's node affinity/selector"), PLACED),
    "Pod unschedulable: PVC": ("unschedulable", "pods", unplaced("pod has unbound immediate PersistentVolumeClaims"), PLACED),
    "Pod scheduling gated": ("scheduling_gated", "pods", unplaced("", "SchedulingGated"), unplaced("", "SchedulingGated", age=4)),
    "Pod evicted": ("evicted", "pods", [pod(phase="Failed", reason="Evicted", message="low on memory")], [pod(phase="Succeeded")]),
    "CrashLoopBackOff, OOMKilled": ("oom_killed", "pods", loops("OOMKilled", 137), [pod(last=ended("OOMKilled", 137, at=90_000), restarts=1)]),
    "CrashLoopBackOff, Error": ("crash_loop", "pods", loops(), ONCE_FAILED),
    "CrashLoopBackOff, exit code": ("crash_loop", "pods", loops("Error", 127), ONCE_FAILED),
    "CrashLoopBackOff, signal": ("crash_loop", "pods", loops("Error", 139, signal=11), ONCE_FAILED),
    "init container in CrashLoopBackOff": ("crash_loop", "pods", [pod(phase="Pending", ready=False, state=waiting("PodInitializing"), init={
        "state": waiting("CrashLoopBackOff"), "lastState": ended(), "restartCount": 4})], [pod(init={"state": ended("Completed", 0), "restartCount": 1})]),
    **{f"container waiting: {reason}": ("image_pull", "pods", waits(reason), STARTING)
       for reason in ("ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError")},
    **{f"container waiting: {reason}": ("config_error", "pods", waits(reason), STARTING) for reason in
       ("CreateContainerConfigError", "CreateContainerError", "PreCreateHookError", "PreStartHookError", "RunContainerError")},
    "ContainerCreating, FailedCreatePodSandBox": ("sandbox_failed", "pods", [*waits("ContainerCreating"), event("Pod", "cart-1", "FailedCreatePodSandBox", "no address")], STARTING),
    "ContainerCreating, FailedMount": ("mount_failed", "pods", [*waits("ContainerCreating"), event("Pod", "cart-1", "FailedMount", "not found")], [
        pod(), event("Pod", "cart-1", "FailedMount", "cache not synced")]),
    "non-zero exit": ("nonzero_exit", "pods", [pod(phase="Failed", ready=False, state=ended("Error", 3))], [pod(phase="Succeeded", state=ended("Completed", 0))]),
    "running, not ready, Unhealthy": ("probe_failing", "pods", [pod(ready=False), event("Pod", "cart-1", "Unhealthy", "Readiness probe failed: 503")], [
        pod(), event("Pod", "cart-1", "Unhealthy", "Readiness probe failed: 503")]),
    # Workloads
    "Deployment: replicas differ from available": ("replicas_short", "workloads", [workload(available=1)], [workload(available=2, updated=1, conditions=[ROLLING])]),
    "Deployment: Progressing false": ("rollout_stuck", "workloads", [workload(available=2, conditions=[STUCK])], [workload(conditions=[ROLLING])]),
    "Deployment: status not observed": ("not_observed", "workloads", [workload(generation=5, observed=3)], [workload()]),
    "Deployment: ReplicaFailure": ("replica_failure", "workloads", [workload(available=1, conditions=[cond("ReplicaFailure", "True", "FailedCreate", QUOTA)])], [workload()]),
    "ReplicaSet FailedCreate: quota": ("failed_create", "workloads", refused_rs(QUOTA), MADE_RS),
    "ReplicaSet FailedCreate: service account": ("failed_create", "workloads", refused_rs('serviceaccount "cart" not found'), MADE_RS),
    "ReplicaSet FailedCreate: admission": ("failed_create", "workloads", refused_rs('admission webhook "v.x" denied the request'), MADE_RS),
    "DaemonSet: ready below scheduled": ("daemonset_not_ready", "workloads", [obj("DaemonSet", "a", status={"desiredNumberScheduled": 3, "numberReady": 1})],
        [obj("DaemonSet", "a", status={"desiredNumberScheduled": 0, "numberReady": 0})]),
    "DaemonSet: missing pull secret": ("pull_secret_missing", "workloads", [OTHER, obj("DaemonSet", "a", spec={"template": {"spec": {"imagePullSecrets": [{"name": "reg"}]}}})],
        [obj("DaemonSet", "a", spec={"template": {"spec": {"imagePullSecrets": [{"name": "reg"}]}}})]),
    "StatefulSet: headless service missing": ("headless_service_missing", "workloads", [obj("Service", "other", spec={}), workload("StatefulSet", spec={"serviceName": "hl"})],
        [obj("Service", "hl", spec={"clusterIP": "None"}), workload("StatefulSet", spec={"serviceName": "hl"})]),
    "StatefulSet: storage class missing": ("storage_class_missing", "workloads", [klass("slow"), workload("StatefulSet", spec={"volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]})],
        [klass("fast"), workload("StatefulSet", spec={"volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]})]),
    "StatefulSet: a pod not running": ("replicas_short", "workloads", [workload("StatefulSet", available=2), *waits("ErrImagePull", owner=("StatefulSet", "cart"))],
        [workload("StatefulSet", available=2, currentRevision="a", updateRevision="b")]),
    "Job failed": ("job_failed", "jobs", [job("load-1", cond("Failed", "True", "DeadlineExceeded"))], [job("load-1", DONE, failed=2, succeeded=1)]),
    "Job BackoffLimitExceeded": ("job_failed", "jobs", [job("load-1", JOB_FAILED, failed=7)], [job("load-1", failed=2, active=1)]),
    "Job suspended": ("job_suspended", "jobs", [job("load-1", spec={"suspend": True})], [job("load-1", cond("Suspended", "False", "JobResumed"), active=1, spec={"suspend": False})]),
    "CronJob suspended (a note)": ("cronjob_suspended", "jobs", [cron(suspend=True)], [cron(suspend=False)]),
    "CronJob: invalid schedule": ("invalid_schedule", "jobs", [cron(schedule="61 * * * *")], [cron(schedule="CRON_TZ=UTC 0 9-17/2 * jan-mar mon,fri")]),
    "CronJob: negative starting deadline": ("negative_deadline", "jobs", [cron(startingDeadlineSeconds=-1)], [cron(startingDeadlineSeconds=200)]),
    "CronJob: last runs failed": ("last_runs_failed", "jobs", [cron(), job("load-1", JOB_FAILED), job("load-2", JOB_FAILED, age=300)],
        [cron(), job("load-1", JOB_FAILED), job("load-2", DONE, age=300)]),
    # Network
    "Service: no endpoints": ("no_endpoints", "networking", [service(), slice_()], [service(), slice_(), workload(replicas=0, available=0)]),
    "Service: endpoints not ready": ("endpoints_not_ready", "networking", [service(), slice_(False)], [service(), slice_(True, False)]),
    "Ingress: no class": ("no_ingress_class", "networking", [ingress(ingressClassName=None)], [ingress(), NGINX, BACKEND, ENDS]),
    "Ingress: unknown class": ("unknown_ingress_class", "networking", [ingress(ingressClassName="x"), NGINX], [ingress(ingressClassName="x")]),
    "Ingress: backend service missing": ("backend_missing", "networking", [ingress("pay"), BACKEND, ENDS], [ingress("pay")]),
    "Ingress: TLS secret missing": ("tls_secret_missing", "networking", [ingress(tls=[{"secretName": "c"}]), OTHER], [ingress(tls=[{"secretName": "other"}]), OTHER]),
    "NetworkPolicy selects nothing": ("policy_selects_nothing", "networking", [policy({"matchLabels": {"app": "gone"}}), pod()], [policy({"matchLabels": {"app": "gone"}})]),
    "NetworkPolicy allows all": ("policy_allows_all", "networking", [policy(ingress=[{}]), pod()], [policy(ingress=[{"from": [{"podSelector": {}}]}]), pod()]),
    "NetworkPolicy newly blocks": ("policy_blocks", "networking", [policy(age=60, **EGRESS), pod()], [policy(age=90_000, **EGRESS), pod()]),
    "Gateway API: class not accepted": ("gateway_class_not_accepted", "gateway", [obj("GatewayClass", "gc", ns="", status={"conditions": [cond("Accepted", "False")]})],
        [obj("GatewayClass", "gc", ns="", status={"conditions": [cond("Accepted", "True")]})]),
    "Gateway API: gateway missing": ("route_without_gateway", "gateway", [gateway(), route("gone")], [gateway(), route()]),
    "Gateway API: gateway bad": ("gateway_bad", "gateway", [gateway(status="False")], [gateway()]),
    "Gateway API: class missing": ("gateway_class_missing", "gateway", [gateway(), obj("GatewayClass", "other", ns="")], [gateway()]),
    "Gateway API: route from the wrong namespace": ("route_wrong_namespace", "gateway", [gateway("infra"), route(gns="infra")],
        [gateway("infra", listeners=[{"allowedRoutes": {"namespaces": {"from": "All"}}}]), route(gns="infra")]),
    "Gateway API: route to a missing service": ("backend_missing", "gateway", [route(backend="pay"), BACKEND, ENDS], [route(backend="pay")]),
    "Gateway API: route to a wrong port": ("backend_port_missing", "gateway", [route(port=81), BACKEND, ENDS], [route(), BACKEND, ENDS]),
    # Storage
    "PVC pending with ProvisioningFailed": ("provisioning_failed", "storage", [claim("Pending", storageClassName="fast"), FAILED], [claim(storageClassName="fast"), FAILED]),
    "PVC lost": ("claim_lost", "storage", [claim("Lost", volumeName="pv1")], [claim(volumeName="pv1")]),
    "PVC: no class": ("no_storage_class", "storage", [claim("Pending"), NO_CLASS], [claim("Pending", age=5), klass(default=True, mode="WaitForFirstConsumer")]),
    "PVC nearly full": ("nearly_full", "storage", [claim(), event("PersistentVolumeClaim", "data", "VolumeUsage", "volume usage is at 96%")],
        [claim(), event("PersistentVolumeClaim", "data", "VolumeUsage", "volume usage is at 46%")]),
    "PV released": ("volume_released", "storage", [obj("PersistentVolume", "p", ns="", status={"phase": "Released"})], [obj("PersistentVolume", "p", ns="", status={"phase": "Available"})]),
    "PV failed": ("volume_failed", "storage", [obj("PersistentVolume", "p", ns="", status={"phase": "Failed"})], [obj("PersistentVolume", "p", ns="", status={"phase": "Bound"})]),
    "StorageClass: several defaults": ("several_defaults", "storage", [klass("a", default=True), klass("b", default=True)], [klass("a", default=True), klass("b")]),
    "StorageClass: deprecated provisioner": ("deprecated_provisioner", "storage", [klass(provisioner="kubernetes.io/aws-ebs")], [klass(provisioner="kubernetes.io/no-provisioner")]),
    # Nodes
    "Node not ready": ("node_not_ready", "nodes", [node("False")], [node()]),
    **{f"Node: {kind}": (code, "nodes", [node("True", cond(kind, "True"))], [node("True", cond(kind, "False"), cond("KernelOops", "True"))]) for kind, code in (
        ("MemoryPressure", "memory_pressure"), ("DiskPressure", "disk_pressure"), ("PIDPressure", "pid_pressure"), ("NetworkUnavailable", "network_unavailable"))},
    "Node cordoned": ("node_cordoned", "nodes", [node(unschedulable=True)], [node(unschedulable=False)]),
    "Node unreachable": ("node_unreachable", "nodes", [node("Unknown")], [node(taints=[{"key": "node-role.kubernetes.io/control-plane"}])]),
    # Scaling and quotas
    "HPA: bad condition": ("hpa_bad", "scaling", [hpa(cond("AbleToScale", "False", "FailedGetScale"))], [hpa(cond("AbleToScale", "True"))]),
    "HPA at maximum": ("hpa_at_maximum", "scaling", [hpa(cond("ScalingLimited", "True", "TooManyReplicas"), current=5, desired=5)],
        [hpa(cond("ScalingLimited", "True", "TooFewReplicas"), current=1, desired=1)]),
    "HPA: target missing": ("target_missing", "scaling", [hpa(), workload(name="pay")], [hpa(), FED]),
    "HPA: target of an unsupported kind": ("target_unsupported", "scaling", [hpa(target="DaemonSet")], [hpa(target="StatefulSet")]),
    "HPA: no requests on its containers": ("no_requests", "scaling", [hpa(), workload()], [hpa(), FED]),
    "HPA: metric unavailable": ("metric_unavailable", "scaling", [hpa(cond("ScalingActive", "False", "FailedGetResourceMetric"))], [hpa(cond("ScalingActive", "False", "ScalingDisabled"))]),
    "PDB blocks eviction": ("pdb_blocks", "scaling", [pdb(allowed=0, healthy=2)], [pdb(allowed=0, healthy=0, expected=0, desired=0)]),
    "ResourceQuota exhausted": ("quota_exhausted", "quotas", [quota({"pods": "2"}, pods="2")], [quota({"pods": "1"}, pods="2")]),
    "ResourceQuota refusing": ("quota_refuses", "quotas", [quota({"pods": "2"}, pods="2"), event("ReplicaSet", "c", "FailedCreate", REFUSED)],
        [quota({"pods": "1"}, pods="2"), event("Pod", "c", "Scheduled", "assigned", type_="Normal")]),
    "LimitRange refusing": ("limit_range_refuses", "quotas", [obj("LimitRange", "l"), event("ReplicaSet", "c", "FailedCreate", LIMIT)], [obj("LimitRange", "l")]),
    # Webhooks, configuration, access, certificates
    "Webhook: service missing": ("webhook_service_missing", "webhooks", [hook(name="gone"), service(selector=None)], [hook(name="gone")]),
    "Webhook: no active pods": ("webhook_no_pods", "webhooks", [hook(), service(), pod("w", labels={"app": "web"})], [hook(), service(), pod()]),
    "Webhook failing closed": ("webhook_failing", "webhooks", [hook(), event("ReplicaSet", "c", "FailedCreate", 'failed calling webhook "v.x": refused')], [hook(), service(), pod()]),
    "ConfigMap referenced but missing": ("configmap_missing", "config", [user(**ENV), config("other"), secret()], [user(**ENV), secret()]),
    "Secret referenced but missing": ("secret_missing", "config", [user(**ENV), config(), secret("other")], [user(**ENV), config(), secret()]),
    "ConfigMap empty": ("configmap_empty", "config", [obj("ConfigMap", "app")], [config()]),
    "Secret empty": ("secret_empty", "config", [obj("Secret", "db", type="Opaque")], [secret()]),
    "ConfigMap over 1 MB": ("configmap_too_large", "config", [config(a="x" * 1_000_100)], [config(a="x" * 900_000)]),
    "Secret over 1 MB": ("secret_too_large", "config", [secret(a="QUFB" * 334_000)], [secret(a="QUFB" * 300_000)]),
    "ConfigMap unused (a note)": ("configmap_unused", "config", [user(), config()], [user(**ENV), config()]),
    "Secret unused (a note)": ("secret_unused", "config", [user(), secret()], [user(**ENV), secret()]),
    "ServiceAccount missing": ("service_account_missing", "access", [user(serviceAccountName="cart"), obj("ServiceAccount", "default")], [user(serviceAccountName="cart")]),
    "RBAC: role missing": ("role_missing", "access", [obj("RoleBinding", "rb", roleRef={"kind": "Role", "name": "gone"}), obj("Role", "other", rules=[])],
        [obj("RoleBinding", "rb", roleRef={"kind": "Role", "name": "gone"})]),
    "RBAC: forbidden in events": ("forbidden", "access", [event("Pod", "x", "Failed", FORBIDDEN)], [event("Pod", "x", "Pulled", "ok", type_="Normal")]),
    "RBAC: wildcards": ("rbac_wildcard", "access", [obj("Role", "mine", rules=WIDE)], [obj("ClusterRole", "cluster-admin", ns="", rules=WIDE)]),
    "Certificate expired": ("certificate_expired", "certificates", [tls(-1)], [tls(60)]),
    "Certificate expiring": ("certificate_expiring", "certificates", [cert(5, cond("Ready", "True"))], [cert(60, cond("Ready", "True"))]),
}  # fmt: skip

# What others report falsely; nothing may be found in any of these
QUIET = {
    "Succeeded pod": [pod(phase="Succeeded", ready=False, state=ended("Completed", 0))],
    "Completed Job": [job("load-1", DONE, succeeded=1)],
    "Job that succeeded after retries": [job("load-1", DONE, failed=3, succeeded=1), pod("load-1-a", phase="Failed", state=ended(), owner=("Job", "load-1"))],
    "pod seconds old": [*unplaced("0/3 nodes are available", age=3), event("Node", "n1", "Starting", "up", ns="", at=0, type_="Normal")],
    "healthy node with a condition of unknown type": [node("True", cond("FrequentKubeletRestart", "True"), cond("EtcdIsVoter", "True"))],
    "deployment in the middle of a good rollout": [workload(available=2, updated=1, conditions=[ROLLING, cond("Available", "True")])],
    "scaled to zero on purpose": [workload(replicas=0, available=0), service(), slice_()],
    "suspended CronJob": [cron(suspend=True)],
    "HPA ScalingLimited by too few replicas": [hpa(cond("ScalingLimited", "True", "TooFewReplicas"), current=1, desired=1), FED],
    "terminating pod": [pod(ready=False, meta={"deletionTimestamp": ago(5)})],
    "sidecar as an init container": [pod(init={"ready": True, "started": True, "state": {"running": {}}},
        spec={"initContainers": [{"name": "init", "restartPolicy": "Always"}]})],
    "mirror pod": [pod(meta={"annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [{"kind": "Node", "name": "n1"}]})],
    "ExternalName and selectorless services": [service(type="ExternalName", externalName="x.example"), service("ext", selector=None)],
    "headless service with ready pods": [service(clusterIP="None"), pod()],
    "paused deployment": [workload(available=2, spec={"paused": True})],
}  # fmt: skip


INTRO = (
    "Written by `python -m tests.unit.analyzers.checklist > docs/conditions.md`; "
    "[test_checklist.py](../tests/unit/analyzers/test_checklist.py) judges for each line objects that have the condition and look-alikes "
    "that do not.\nThe checklist of the field in {count} conditions, each with an analyzer and a test of both sides. Its last line, error "
    "patterns in logs, is not judged by `inspect`, as objects hold no logs: the log evidence of an investigation reads them, the previous "
    "container's included."
)


def page() -> str:
    """Return docs/conditions.md."""
    rows = [f"| {line} | `{code}` | [{module}](../tools/analyzers/{module}.py) |" for line, (code, module, _, _) in CASES.items()]  # fmt: skip
    return "\n".join([
        "# Kubernetes conditions that `tocsin inspect` names", "",
        INTRO.format(count=len(CASES)), "",
        "| condition | name in the output | analyzer |", "|---|---|---|", *rows, "",
        "Nothing is found in these look-alikes that others report:", "", *(f"- {line}" for line in QUIET), "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.stdout.write(page())
