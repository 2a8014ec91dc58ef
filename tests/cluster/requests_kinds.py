"""Requests about Jobs, CronJobs, autoscalers, claims, services, nodes, events and secrets."""

from tests.cluster.api import MERGE
from tests.cluster.sides import Side, container


def batch(side: Side) -> None:
    """Jobs and CronJobs."""
    pod = {"restartPolicy": "Never", "containers": [container()], "automountServiceAccountToken": False}
    job = {"metadata": {"name": "once"}, "spec": {"parallelism": 0, "template": {"spec": pod}}}
    side.ask("create a job", "POST", "jobs", job)
    side.ask("create it again", "POST", "jobs", job)
    side.ask(
        "a job that restarts always",
        "POST",
        "jobs",
        {"metadata": {"name": "x"}, "spec": {"template": {"spec": pod | {"restartPolicy": "Always"}}}},
    )
    side.ask("a job without a template", "POST", "jobs", {"metadata": {"name": "x"}, "spec": {}})
    side.ask(
        "change its template",
        "PATCH",
        "jobs/once",
        {"spec": {"template": {"spec": {"containers": [container("3.8")]}}}},
        kind=MERGE,
    )
    side.ask(
        "change its parallelism",
        "PATCH",
        "jobs/once",
        {"spec": {"parallelism": 0}, "metadata": {"labels": {"a": "b"}}},
        kind=MERGE,
    )
    side.ask("delete a job in a dry-run", "DELETE", "jobs/once", {"dryRun": ["All"], "propagationPolicy": "Background"})
    side.ask("it is there", "GET", "jobs/once")
    side.ask("delete a job", "DELETE", "jobs/once", {"propagationPolicy": "Background"})
    cron = {
        "metadata": {"name": "nightly"},
        "spec": {"schedule": "0 0 31 2 *", "jobTemplate": {"spec": {"template": {"spec": pod}}}},
    }
    side.ask("create a cron job", "POST", "cronjobs", cron)
    side.ask(
        "a wrong schedule",
        "POST",
        "cronjobs",
        {"metadata": {"name": "x"}, "spec": cron["spec"] | {"schedule": "at night"}},
    )
    side.ask("suspend it", "PATCH", "cronjobs/nightly", {"spec": {"suspend": True}}, kind=MERGE)
    side.ask(
        "resume it in a dry-run", "PATCH", "cronjobs/nightly", {"spec": {"suspend": False}}, kind=MERGE, dryRun="All"
    )
    side.ask("it is suspended", "GET", "cronjobs/nightly")


def sizes(side: Side) -> None:
    """Autoscalers and claims."""
    of = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "none"}
    spec = {"minReplicas": 1, "maxReplicas": 3, "scaleTargetRef": of}
    side.ask("create an autoscaler", "POST", "horizontalpodautoscalers", {"metadata": {"name": "bounds"}, "spec": spec})
    side.ask(
        "minimum above maximum", "PATCH", "horizontalpodautoscalers/bounds", {"spec": {"minReplicas": 9}}, kind=MERGE
    )
    side.ask("no maximum", "PATCH", "horizontalpodautoscalers/bounds", {"spec": {"maxReplicas": 0}}, kind=MERGE)
    side.ask("other bounds", "PATCH", "horizontalpodautoscalers/bounds", {"spec": {"maxReplicas": 5}}, kind=MERGE)
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "none",
    }
    side.ask("create a claim", "POST", "persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": claim})
    side.ask(
        "shrink it",
        "PATCH",
        "persistentvolumeclaims/data",
        {"spec": {"resources": {"requests": {"storage": "1Mi"}}}},
        kind=MERGE,
        until=32,  # from then on a failed expansion may be taken back, down to the size there is
    )
    side.ask(
        "grow it unbound",
        "PATCH",
        "persistentvolumeclaims/data",
        {"spec": {"resources": {"requests": {"storage": "2Gi"}}}},
        kind=MERGE,
    )
    side.ask(
        "a claim without a size",
        "POST",
        "persistentvolumeclaims",
        {"metadata": {"name": "x"}, "spec": claim | {"resources": {}}},
    )


def services(side: Side) -> None:
    """Services, nodes, events, secrets."""
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    side.ask("create a service", "POST", "services", {"metadata": {"name": "web"}, "spec": spec})
    side.ask(
        "a service without ports", "POST", "services", {"metadata": {"name": "x"}, "spec": {"selector": {"app": "web"}}}
    )
    side.ask(
        "a service with a wrong port", "POST", "services", {"metadata": {"name": "x"}, "spec": {"ports": [{"port": 0}]}}
    )
    side.ask("delete a service", "DELETE", "services/web", since=24)  # a Status before, the Service since
    node = f"/api/v1/nodes/{side.nodes[1]}"
    side.ask(
        "cordon in a dry-run",
        "PATCH",
        node,
        {"spec": {"unschedulable": True}},
        kind=MERGE,
        dryRun="All",
        fields=("spec.unschedulable",),
    )
    side.ask("cordon", "PATCH", node, {"spec": {"unschedulable": True}}, kind=MERGE, fields=("spec.unschedulable",))
    side.ask("uncordon", "PATCH", node, {"spec": {"unschedulable": None}}, kind=MERGE, fields=("spec.unschedulable",))
    side.ask("no such node", "GET", "/api/v1/nodes/no-such-node")
    about = {"kind": "Pod", "name": "alone", "namespace": side.namespace}
    event = {
        "metadata": {"name": "alone.1"},
        "involvedObject": about,
        "reason": "Tried",
        "message": "gone",
        "type": "Normal",
    }
    side.ask("create an event", "POST", "events", event)
    side.ask(
        "events about it",
        "GET",
        "events",
        fieldSelector="involvedObject.name=alone,reason=Tried,type=Normal",
        labelSelector="",
    )
    side.ask(
        "an event about no namespace",
        "POST",
        "events",
        event | {"metadata": {"name": "x"}, "involvedObject": {"kind": "Pod", "name": "a"}},
    )
    side.ask("create a secret", "POST", "secrets", {"metadata": {"name": "keys"}, "stringData": {"key": "value"}})
    side.ask("a secret that is no base64", "POST", "secrets", {"metadata": {"name": "x"}, "data": {"key": "%%%"}})


GROUPS = (batch, sizes, services)
