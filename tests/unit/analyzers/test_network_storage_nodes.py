"""Services, Ingresses, policies, gateways, storage and nodes: each condition, and a healthy one that looks alike."""

import pytest

from tests.unit.analyzers.samples import ago, cond, event, notes, obj, pod, problems, service, workload


def slice_(*ready):
    ends = [{"addresses": ["10.0.0.1"], "conditions": {"ready": each}} for each in ready]
    return obj("EndpointSlice", "cart-abc", labels={"kubernetes.io/service-name": "cart"}, endpoints=ends)


def ingress(backend="cart", port=80, **spec):
    rule = {"http": {"paths": [{"backend": {"service": {"name": backend, "port": {"number": port}}}}]}}
    return obj("Ingress", "web", spec={"ingressClassName": "nginx", "rules": [rule]} | spec)


def policy(selector=None, age=7200.0, **spec):
    return obj("NetworkPolicy", "np", age=age, spec={"podSelector": selector or {}} | spec)


def gateway(ns="shop", status="True", **spec):
    return obj("Gateway", "gw", ns=ns, spec={"gatewayClassName": "gc", "listeners": [{"name": "http"}]} | spec,
               status={"conditions": [cond("Accepted", status, "x")]})  # fmt: skip


def route(gw="gw", gns="shop", backend="cart", port=80):
    return obj(
        "HTTPRoute",
        "r",
        spec={
            "parentRefs": [{"name": gw, "namespace": gns}],
            "rules": [{"backendRefs": [{"name": backend, "port": port}]}],
        },
    )


def claim(phase="Bound", age=7200.0, meta=None, **spec):
    return obj("PersistentVolumeClaim", "data", age=age, meta=meta, spec=spec, status={"phase": phase})


def klass(name="fast", *, default=False, mode="Immediate", provisioner="csi"):
    marks = {"storageclass.kubernetes.io/is-default-class": "true"} if default else {}
    return obj(
        "StorageClass", name, ns="", meta={"annotations": marks}, provisioner=provisioner, volumeBindingMode=mode
    )


def node(ready="True", *conditions, **spec):
    return obj(
        "Node",
        "n1",
        ns="",
        spec=spec,
        status={
            "conditions": [cond("Ready", ready, "KubeletReady" if ready == "True" else "KubeletNotReady"), *conditions]
        },
    )


NGINX = obj("IngressClass", "nginx", ns="")
EGRESS = {"policyTypes": ["Egress"], "egress": []}
FAILED = event("PersistentVolumeClaim", "data", "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
NO_CLASS = event(
    "PersistentVolumeClaim",
    "data",
    "FailedBinding",
    "no persistent volumes available for this claim and no storage class is set",
    type_="Normal",
)
WAITS = event("PersistentVolumeClaim", "data", "WaitForFirstConsumer", "waiting for first consumer", type_="Normal")
BACKEND = service()
ENDS = slice_(True)

SICK = {
    "no pods": ({"no_endpoints"}, [service(), pod("web-1", labels={"app": "web"})]),
    "no addresses": ({"no_endpoints"}, [service(), obj("Endpoints", "cart")]),
    "empty slice": ({"no_endpoints"}, [service(), slice_()]),
    "not ready": ({"endpoints_not_ready"}, [service(), slice_(False, False)]),
    "pods not ready": ({"endpoints_not_ready", "not_ready"}, [service(), pod(ready=False)]),
    "endpoints alone": ({"endpoints_not_ready"}, [obj("Endpoints", "cart", subsets=[{"notReadyAddresses": [{"ip": "10.0.0.1"}]}])]),
    "no class": ({"no_ingress_class"}, [ingress(ingressClassName=None)]),
    "unknown class": ({"unknown_ingress_class"}, [ingress(ingressClassName="traefik"), NGINX]),
    "backend": ({"backend_missing"}, [ingress("pay"), BACKEND, ENDS]),
    "backend of networking v1beta1": ({"backend_missing"}, [obj("Ingress", "web", spec={"ingressClassName": "nginx",
        "rules": [{"http": {"paths": [{"backend": {"serviceName": "pay", "servicePort": 80}}]}}]}), BACKEND, ENDS]),
    "pods pending": ({"endpoints_not_ready"}, [service(), slice_(), pod(phase="Pending", conditions=[], containerStatuses=[])]),
    "port": ({"backend_port_missing"}, [ingress(port=8080), BACKEND, ENDS]),
    "tls": ({"tls_secret_missing"}, [ingress(tls=[{"secretName": "cert"}]), obj("Secret", "other", data={"a": "YQ=="})]),
    "selects nothing": ({"policy_selects_nothing"}, [policy({"matchLabels": {"app": "gone"}}, ingress=[{}]), pod()]),
    "allows all": ({"policy_allows_all"}, [policy(ingress=[{}]), pod()]),
    "newly blocks": ({"policy_blocks"}, [policy(age=60, **EGRESS), pod()]),
    "class not accepted": ({"gateway_class_not_accepted"}, [obj("GatewayClass", "gc", ns="", status={"conditions": [cond("Accepted", "False", "X", "y")]})]),
    "gateway bad": ({"gateway_bad"}, [gateway(status="False")]),
    "gateway class": ({"gateway_class_missing"}, [gateway(), obj("GatewayClass", "other", ns="")]),
    "route without gateway": ({"route_without_gateway"}, [gateway(), route("gone"), BACKEND, ENDS]),
    "route from elsewhere": ({"route_wrong_namespace"}, [gateway("infra"), route(gns="infra"), BACKEND, ENDS]),
    "route to nothing": ({"backend_missing"}, [gateway(), route(backend="pay"), BACKEND, ENDS]),
    "route to no port": ({"backend_port_missing"}, [gateway(), route(port=81), BACKEND, ENDS]),
    "provisioning": ({"provisioning_failed"}, [claim("Pending", storageClassName="fast"), FAILED]),
    "class missing": ({"storage_class_missing"}, [claim("Pending", storageClassName="fast"), klass("slow")]),
    "no storage class": ({"no_storage_class"}, [claim("Pending"), NO_CLASS]),
    "no default class": ({"no_storage_class"}, [claim("Pending"), klass()]),
    "lost": ({"claim_lost"}, [claim("Lost", volumeName="pv1")]),
    "pending for long": ({"claim_pending"}, [claim("Pending", storageClassName="fast", volumeName="x")]),
    "full": ({"nearly_full"}, [claim(), event("PersistentVolumeClaim", "data", "VolumeUsage", "volume usage is at 96%")]),
    "claim missing": ({"claim_missing"}, [pod(phase="Pending", containerStatuses=[], spec={"volumes": [{"persistentVolumeClaim": {"claimName": "gone"}}]}), claim()]),
    "released": ({"volume_released"}, [obj("PersistentVolume", "pv1", ns="", spec={}, status={"phase": "Released"})]),
    "failed": ({"volume_failed"}, [obj("PersistentVolume", "pv1", ns="", spec={}, status={"phase": "Failed", "message": "no"})]),
    "two defaults": ({"several_defaults"}, [klass("a", default=True), klass("b", default=True)]),
    "old provisioner": ({"deprecated_provisioner"}, [klass(provisioner="kubernetes.io/aws-ebs")]),
    "node not ready": ({"node_not_ready"}, [node("False")]),
    "unreachable": ({"node_unreachable"}, [node("Unknown", taints=[{"key": "node.kubernetes.io/unreachable"}])]),
    "memory": ({"memory_pressure"}, [node("True", cond("MemoryPressure", "True", "KubeletHasInsufficientMemory"))]),
    "disk": ({"disk_pressure"}, [node("True", cond("DiskPressure", "True"))]),
    "pid": ({"pid_pressure"}, [node("True", cond("PIDPressure", "True"))]),
    "network": ({"network_unavailable"}, [node("True", cond("NetworkUnavailable", "True"))]),
    "cordoned": ({"node_cordoned"}, [node(unschedulable=True)]),
}  # fmt: skip

WELL = {
    "service": [service(), slice_(True, False)],
    "service with ready pods": [service(), pod()],
    "service alone": [service()],
    "service and its workload, another's pod": [service(), workload(), pod("web-1", labels={"app": "web"})],
    "no selector": [service(selector=None), obj("Endpoints", "cart")],
    "external name": [service(type="ExternalName", externalName="x.example"), slice_()],
    "scaled to zero": [service(), slice_(), workload(replicas=0, available=0)],
    "pods starting": [service(), pod(ready=False, age=5, since=4)],
    "manifest": [service(), obj("Pod", "cart-1", labels={"app": "cart"}, spec={})],
    "ingress": [ingress(tls=[{"secretName": "cert"}]), NGINX, BACKEND, ENDS, obj("Secret", "cert", data={"tls.crt": "x"})],
    "ingress alone": [ingress(tls=[{"secretName": "cert"}])],
    "ingress by annotation": [obj("Ingress", "web", meta={"annotations": {"kubernetes.io/ingress.class": "nginx"}}, spec={})],
    "ingress of the default class": [ingress(ingressClassName=None), obj("IngressClass", "n", ns="", meta={
        "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}})],
    "policy": [policy({"matchLabels": {"app": "cart"}}, ingress=[{"from": [{"podSelector": {}}]}]), pod()],
    "policy without pods in sight": [policy({"matchLabels": {"app": "cart"}}, ingress=[{"from": []}])],
    "ingress of networking v1beta1": [obj("Ingress", "web", spec={"ingressClassName": "nginx", "backend": {"serviceName": "cart", "servicePort": 80}}),
        BACKEND, ENDS],
    "old default deny": [policy(age=90_000, **EGRESS), pod()],
    "deny with an exception": [policy(age=60, **EGRESS), policy(age=60, policyTypes=["Egress"], egress=[{"ports": [{"port": 53}]}]), pod()],
    "gateway": [gateway(), obj("GatewayClass", "gc", ns="", status={"conditions": [cond("Accepted", "True")]}), route(), BACKEND, ENDS],
    "gateway for all": [gateway("infra", listeners=[{"allowedRoutes": {"namespaces": {"from": "All"}}}]), route(gns="infra"), BACKEND, ENDS],
    "route alone": [route()],
    "bound": [claim(storageClassName="fast"), klass(default=True)],
    "waits for a pod": [claim("Pending", storageClassName="fast"), klass(mode="WaitForFirstConsumer"), WAITS],
    "just made": [claim("Pending", age=5, storageClassName="fast")],
    "volumes": [obj("PersistentVolume", "pv1", ns="", spec={}, status={"phase": phase}) for phase in ("Bound", "Available")],
    "node": [node("True", cond("MemoryPressure", "False"), cond("NetworkUnavailable", "False"))],
    "node with an unknown condition": [node("True", cond("KernelDeadlock", "False"), cond("FrequentKubeletRestart", "True"), cond("EtcdIsVoter", "True"))],
    "node joining": [obj("Node", "n2", ns="", age=20, spec={}, status={"conditions": [cond("Ready", "False")]})],
}  # fmt: skip


@pytest.mark.parametrize(("conditions", "items"), SICK.values(), ids=SICK)
def test_what_is_wrong_is_named(conditions, items):
    assert problems(*items) == conditions


@pytest.mark.parametrize("items", WELL.values(), ids=WELL)
def test_what_is_healthy_is_no_finding(items):
    assert problems(*items) == set()


def test_an_old_denial_without_pods_is_noted():
    assert notes(policy(age=90_000, **EGRESS)) == {"policy_denies_all"}
    assert ago(0) == "2026-11-23T20:00:00Z"
