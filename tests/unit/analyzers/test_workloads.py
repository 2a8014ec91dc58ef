"""Workloads, Jobs and CronJobs: each condition, and a healthy one that looks alike."""

import pytest

from tests.unit.analyzers.samples import cond, ended, event, notes, obj, pod, problems, service, waiting, workload

STUCK = cond("Progressing", "False", "ProgressDeadlineExceeded", "has timed out progressing")
ROLLING = cond("Progressing", "True", "ReplicaSetUpdated", "is progressing", at=60)
QUOTA = 'pods "cart-x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2'
OTHER = obj("Secret", "other", data={"a": "YQ=="})


def cron(**spec):
    return obj("CronJob", "load", spec={"schedule": "*/5 * * * *"} | spec)


def job(name="load-1", *conditions, age=600.0, owner="load", **rest):
    owners = {"ownerReferences": [{"kind": "CronJob", "name": owner}]}
    return obj(
        "Job", name, age=age, meta=owners, spec=rest.pop("spec", {}), status={"conditions": list(conditions), **rest}
    )


FAILED = cond("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
DONE = cond("Complete", "True")

SICK = {
    "short": ({"replicas_short"}, [workload(available=1)]),
    "none available": ({"replicas_short"}, [workload(available=0)]),
    "stuck": ({"rollout_stuck", "replicas_short"}, [workload(available=2, conditions=[STUCK])]),
    "rolling for too long": ({"replicas_short"}, [workload(available=2, updated=1, conditions=[cond("Progressing", "True", "ReplicaSetUpdated", at=5000)])]),
    "not observed": ({"not_observed"}, [workload(generation=5, observed=3)]),
    "replica failure": ({"replica_failure", "replicas_short"},
                        [workload(available=1, conditions=[cond("ReplicaFailure", "True", "FailedCreate", QUOTA)])]),
    "rs cannot create": ({"failed_create"}, [obj("ReplicaSet", "cart-x", meta={"ownerReferences": [{"kind": "Deployment", "name": "cart"}]},
        spec={"replicas": 2}, status={"replicas": 0, "conditions": [cond("ReplicaFailure", "True", "FailedCreate", QUOTA)]})]),
    "rs cannot create, by event": ({"failed_create"}, [obj("ReplicaSet", "cart-x", meta={"ownerReferences": [{"kind": "Deployment", "name": "c"}]},
        spec={"replicas": 2}, status={"replicas": 0}),
        event("ReplicaSet", "cart-x", "FailedCreate", 'error looking up service account shop/cart: serviceaccount "cart" not found')]),
    "ds short": ({"daemonset_not_ready"}, [obj("DaemonSet", "agent", status={"desiredNumberScheduled": 3, "numberReady": 1})]),
    "ds pull secret": ({"pull_secret_missing"}, [OTHER, obj("DaemonSet", "agent", status={"desiredNumberScheduled": 1, "numberReady": 1},
        spec={"template": {"spec": {"imagePullSecrets": [{"name": "regcred"}]}}})]),
    "sts service": ({"headless_service_missing"}, [obj("Service", "other", spec={}), workload("StatefulSet", spec={"serviceName": "cart-hl"})]),
    "sts class": ({"storage_class_missing"}, [obj("StorageClass", "slow", ns="", provisioner="x"), workload("StatefulSet", spec={
        "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"storageClassName": "fast"}}]})]),
    "sts short": ({"replicas_short", "unschedulable"}, [workload("StatefulSet", available=1), pod("cart-1", phase="Pending", containerStatuses=[],
        owner=("StatefulSet", "cart"), conditions=[cond("PodScheduled", "False", "Unschedulable", "0/1 nodes")])]),
    "job failed": ({"job_failed"}, [job("load-1", FAILED, failed=7)]),
    "job over its limit": ({"job_failed"}, [job("load-1", failed=7)]),
    "job suspended": ({"job_suspended"}, [job("load-1", spec={"suspend": True})]),
    "sts update stuck": ({"replicas_short", "image_pull"}, [workload("StatefulSet", available=2, currentRevision="a", updateRevision="b"),
        pod("cart-2", phase="Pending", ready=False, owner=("StatefulSet", "cart"), state=waiting("ImagePullBackOff"))]),
    "not available while it moves": ({"replicas_short"}, [workload(available=0, updated=3, conditions=[ROLLING, cond("Available", "False", "MinimumReplicasUnavailable")])]),
    "cron invalid": ({"invalid_schedule"}, [cron(schedule="*/5 * * *")]),
    "cron out of range": ({"invalid_schedule"}, [cron(schedule="61 * * * *")]),
    "cron negative": ({"negative_deadline"}, [cron(startingDeadlineSeconds=-5)]),
    "cron runs fail": ({"job_failed", "last_runs_failed"}, [cron(), job("load-1", DONE, age=900), job("load-2", FAILED), job("load-3", FAILED, age=300)]),
}  # fmt: skip

WELL = {
    "all there": [workload()],
    "mid-rollout": [workload(available=2, updated=1, conditions=[ROLLING])],
    "just created": [workload(available=0, age=10, conditions=[cond("Progressing", "True", "NewReplicaSetCreated", at=10)])],
    "scaled up just now": [workload(available=2, conditions=[cond("Progressing", "True", "ReplicaSetUpdated", at=5), cond("Available", "False", at=5)])],
    "scaled to zero": [workload(replicas=0, available=0)],
    "paused": [workload(available=2, spec={"paused": True})],
    "manifest": [obj("Deployment", "cart", spec={"replicas": 3, "template": {"spec": {}}})],
    "one replica by default": [workload(replicas=None, available=1)],
    "rs of yesterday": [obj("ReplicaSet", "cart-old", spec={"replicas": 0}, status={"replicas": 0}), event("ReplicaSet", "cart-old", "FailedCreate", QUOTA)],
    "rs got over it": [obj("ReplicaSet", "cart-x", spec={"replicas": 1}, status={"replicas": 1, "availableReplicas": 1}),
                       event("ReplicaSet", "cart-x", "FailedCreate", QUOTA)],
    "ds all ready": [obj("DaemonSet", "agent", status={"desiredNumberScheduled": 3, "numberReady": 3})],
    "ds for no node": [obj("DaemonSet", "gpu", status={"desiredNumberScheduled": 0, "numberReady": 0})],
    "ds rolling": [obj("DaemonSet", "agent", status={"desiredNumberScheduled": 3, "numberReady": 2, "updatedNumberScheduled": 1})],
    "sts alone": [workload("StatefulSet", spec={"serviceName": "cart-hl", "volumeClaimTemplates": [{"spec": {"storageClassName": "fast"}}]})],
    "sts rolling": [workload("StatefulSet", available=2, currentRevision="a", updateRevision="b")],
    "job done after retries": [job("load-1", DONE, failed=2, succeeded=1)],
    "job retries": [job("load-1", failed=2, active=1)],
    "cron": [cron(), cron(schedule="@daily"), cron(schedule="0 9-17/2 * jan-mar mon,fri"), cron(schedule="CRON_TZ=Asia/Tokyo 0 4 * * *")],
    "job queued": [job("load-1", spec={"suspend": True}) | {"metadata": {"name": "load-1", "namespace": "shop", "labels": {
        "kueue.x-k8s.io/queue-name": "q"}}}],
    "ds rolling several at once": [obj("DaemonSet", "agent", spec={"updateStrategy": {"rollingUpdate": {"maxUnavailable": "25%"}}},
        status={"desiredNumberScheduled": 12, "numberReady": 9, "updatedNumberScheduled": 6})],
    "recreate": [workload(available=0, spec={"strategy": {"type": "Recreate"}}, conditions=[
        cond("Progressing", "True", "ReplicaSetUpdated", at=20), cond("Available", "False", at=20)])],
    "a failed run of a CronJob that succeeded since": [cron(), job("load-1", FAILED, age=900), pod("load-1-a", phase="Failed", ready=False,
        state=ended("Error", 1), owner=("Job", "load-1")), job("load-2", DONE, age=60)],
    "cron suspended on purpose": [cron(suspend=True)],
    "cron mended": [cron(), job("load-1", DONE, age=60)],
}  # fmt: skip


@pytest.mark.parametrize(("conditions", "items"), SICK.values(), ids=SICK)
def test_a_sick_workload_is_named(conditions, items):
    assert problems(*items) == conditions


@pytest.mark.parametrize("items", WELL.values(), ids=WELL)
def test_a_healthy_workload_is_no_finding(items):
    assert problems(*items) == set()


def test_what_is_suspended_is_noted():
    assert notes(cron(suspend=True)) == {"cronjob_suspended"}
    assert notes(service(), workload(replicas=0, available=0)) == {"scaled_to_zero"}
