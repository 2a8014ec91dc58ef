"""The objects a fresh practice cluster starts with, made from the catalogue; used by the cluster."""

from drill.cluster.catalogue import Catalogue, Service
from drill.cluster.objects import Obj

PORT = 8080


def nodes() -> list[Obj]:
    """Three healthy workers."""
    return [_node(f"worker-{number}", number) for number in (1, 2, 3)]


def _node(name: str, number: int) -> Obj:
    healthy = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID"),
        "Ready": ("True", "KubeletReady"),
    }
    size = {"cpu": "4", "memory": "8Gi", "pods": "110", "ephemeral-storage": "60Gi"}
    return {
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
        },
        "spec": {"podCIDR": f"10.244.{number}.0/24"},
        "status": {
            "capacity": size,
            "allocatable": size,
            "conditions": [
                {"type": kind, "status": value, "reason": reason, "message": reason}
                for kind, (value, reason) in healthy.items()
            ],
            "addresses": [{"type": "InternalIP", "address": f"10.0.0.{number}"}],
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": f"00000000-0000-4000-8000-{number:012d}",
                "containerRuntimeVersion": "containerd://2.0.5",
                "kernelVersion": "6.12.0-drill",
                "kubeProxyVersion": "v1.33.4",
                "kubeletVersion": "v1.33.4",
                "machineID": f"{number:032x}",
                "operatingSystem": "linux",
                "osImage": "Drill Linux 1",
                "systemUUID": f"00000000-0000-4000-9000-{number:012d}",
            },
        },
    }


def deployment(service: Service, tag: str = "") -> Obj:
    """Return the Deployment of one practice service, as a team would write it; *tag* is another than its current one."""
    labels = {"app": service.name, "app.kubernetes.io/part-of": "shop"}
    env = {f"{call.peer.upper()}_URL": f"http://{call.peer}:{PORT}" for call in service.calls} | service.env
    container: Obj = {
        "name": service.name,
        "image": f"{service.repository}:{tag or service.tag}",
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "resources": {"requests": dict(service.requests), "limits": dict(service.limits)},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"}, "periodSeconds": 2},
    }
    pod: Obj = {"containers": [container]} | _mounted(service, container)
    return {
        "metadata": {
            "name": service.name,
            "namespace": service.namespace,
            "labels": dict(labels),
            "annotations": dict(service.annotations),
        },
        "spec": {
            "replicas": service.replicas,
            "selector": {"matchLabels": {"app": service.name}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": dict(service.rolling)},
            "template": {"metadata": {"labels": dict(labels)}, "spec": pod},
        },
    }


def _mounted(service: Service, container: Obj) -> Obj:
    """Mount what the program reads and writes; return the pod's volumes."""
    volumes, mounts = [], []
    if service.setting:
        volumes.append({"name": "settings", "configMap": {"name": service.setting.configmap}})
        mounts.append({"name": "settings", "mountPath": "/etc/settings", "readOnly": True})
    if service.disk:
        volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": service.disk.claim}})
        mounts.append({"name": "data", "mountPath": service.disk.path})
    if not volumes:
        return {}
    container["volumeMounts"] = mounts
    return {"volumes": volumes}


def service(of: Service, number: int) -> Obj:
    """Return the Service in front of it."""
    return {
        "metadata": {"name": of.name, "namespace": of.namespace, "labels": {"app": of.name}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": f"10.96.0.{number + 20}",
            "selector": {"app": of.name},
            "ports": [{"name": "http", "port": PORT, "targetPort": PORT, "protocol": "TCP"}],
        },
    }


def objects(catalogue: Catalogue) -> list[tuple[str, Obj]]:
    """(plural, object) of everything except nodes and namespaces."""
    made: list[tuple[str, Obj]] = []
    for number, each in enumerate(catalogue.services.values()):
        made += [
            ("services", service(each, number)),
            ("deployments", deployment(each, each.history[0] if each.history else "")),
        ]
    for namespace in sorted({each.namespace for each in catalogue.services.values()}):
        settings = {"metadata": {"name": "shop-settings", "namespace": namespace}, "data": {"currency": "EUR"}}
        secret = {
            "metadata": {"name": "orders-db", "namespace": namespace},
            "type": "Opaque",
            "data": {"password": "ZHJpbGw="},
        }
        made += [("configmaps", settings), ("secrets", secret)]
    return made
