"""Services without endpoints, Ingresses that lead nowhere, NetworkPolicies that take nothing, everything or too much."""

from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    condition,
    dicts,
    found,
    matches,
    meta,
    name,
    namespace,
    number,
    spec,
    status,
)

CLASS = "kubernetes.io/ingress.class"
START_S = 60


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every Service, Ingress and NetworkPolicy."""
    for service in objects.all("Service"):
        yield from _service(service, objects)
    for endpoints in objects.all("Endpoints"):
        if objects.get("Service", namespace(endpoints), name(endpoints)) is None:
            yield from _endpoints_alone(endpoints, objects)
    for ingress in objects.all("Ingress"):
        yield from _ingress(ingress, objects)
    for policy in objects.all("NetworkPolicy"):
        yield from _policy(policy, objects)


def _service(service: Obj, objects: Objects) -> Iterator[Condition]:
    selector = spec(service).get("selector")
    if not isinstance(selector, dict) or not selector or spec(service).get("type") == "ExternalName":
        return
    place = namespace(service)
    shown = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    pods = [pod for pod in objects.in_namespace("Pod", place) if matches({"matchLabels": selector}, meta(pod).get("labels"))
            and status(pod).get("phase") not in {"Succeeded", "Failed"} and "deletionTimestamp" not in meta(pod)]  # fmt: skip
    ready, waiting = _addresses(service, objects)
    if ready or (any(condition(pod, "Ready").get("status") == "True" for pod in pods) and ready is None):
        return
    if objects.younger(service, START_S) or _asleep(selector, place, objects):
        return
    if ready is None and not pods and _behind(selector, place, objects):
        return  # its workload is among the objects and its pods are not: the workload tells
    if spec(service).get("publishNotReadyAddresses") and pods:
        return
    unready = [
        pod for pod in pods if condition(pod, "Ready").get("status") == "False" or status(pod).get("phase") == "Pending"
    ]  # a manifest's pod has no status
    if waiting or (unready and not all(objects.younger(pod, START_S) for pod in unready)):
        yield found(service, "endpoints_not_ready", f"no ready endpoint: {waiting or len(pods)} behind selector {shown} not ready",
                    "look at why its pods are not ready", "critical")  # fmt: skip
    elif not pods and (ready == 0 or objects.listed("Pod", place)):
        yield found(service, "no_endpoints", f"no endpoints: no pod matches selector {shown}",
                    "correct the selector or the pods' labels, or start the workload", "critical")  # fmt: skip


def _addresses(service: Obj, objects: Objects) -> tuple[int | None, int]:
    """Return how many addresses are ready and how many are not; None when the input has no endpoints of it."""
    place, called = namespace(service), name(service)
    slices = [each for each in objects.in_namespace("EndpointSlice", place)
              if (meta(each).get("labels") or {}).get("kubernetes.io/service-name") == called]  # fmt: skip
    if slices:
        ends = [end for each in slices for end in dicts(each.get("endpoints"))]
        good = sum((end.get("conditions") or {}).get("ready") is not False for end in ends)
        return good, len(ends) - good
    endpoints = objects.get("Endpoints", place, called)
    if endpoints is not None:
        subsets = dicts(endpoints.get("subsets"))
        return sum(len(dicts(s.get("addresses"))) for s in subsets), sum(
            len(dicts(s.get("notReadyAddresses"))) for s in subsets
        )
    if objects.listed("EndpointSlice", place) or objects.listed("Endpoints", place):
        return 0, 0
    return None, 0


def _asleep(selector: Obj, place: str, objects: Objects) -> bool:
    """Whether the workload behind a Service is scaled to zero: its emptiness is then what somebody wanted."""
    behind = [obj for obj in _behind(selector, place, objects) if obj.get("kind") != "DaemonSet"]
    return bool(behind) and all(number(spec(obj).get("replicas", 1), 1) == 0 for obj in behind)


def _behind(selector: Obj, place: str, objects: Objects) -> list[Obj]:
    """Return the workloads whose pods a Service selects."""
    return [obj for kind in ("Deployment", "StatefulSet", "DaemonSet") for obj in objects.in_namespace(kind, place)
            if matches({"matchLabels": selector}, meta(spec(obj).get("template") or {}).get("labels"))]  # fmt: skip


def _endpoints_alone(endpoints: Obj, objects: Objects) -> Iterator[Condition]:
    subsets = dicts(endpoints.get("subsets"))
    waiting = [a for s in subsets for a in dicts(s.get("notReadyAddresses"))]
    if waiting and not any(dicts(s.get("addresses")) for s in subsets) and not objects.younger(endpoints, START_S):
        who = ", ".join(sorted(str((a.get("targetRef") or {}).get("name") or a.get("ip")) for a in waiting)[:3])
        yield found(endpoints, "endpoints_not_ready", f"no ready endpoint: {len(waiting)} not ready ({who})",
                    "look at why its pods are not ready", "critical")  # fmt: skip


def _ingress(ingress: Obj, objects: Objects) -> Iterator[Condition]:
    place = namespace(ingress)
    called = str(spec(ingress).get("ingressClassName") or (meta(ingress).get("annotations") or {}).get(CLASS) or "")
    classes = list(objects.all("IngressClass"))
    default = any(
        (meta(c).get("annotations") or {}).get("ingressclass.kubernetes.io/is-default-class") == "true" for c in classes
    )
    if not called and not default:
        served = (status(ingress).get("loadBalancer") or {}).get("ingress")
        if not served:
            yield found(ingress, "no_ingress_class", "names no ingress class, and no default class is known: no controller serves it",
                        "set spec.ingressClassName")  # fmt: skip
    elif spec(ingress).get("ingressClassName") and objects.missing("IngressClass", "", called):
        yield found(ingress, "unknown_ingress_class", f"ingress class {called} does not exist",
                    f"install its controller or use one of: {', '.join(sorted(map(name, classes))) or 'none is there'}", "critical")  # fmt: skip
    backends = [
        (spec(ingress).get("defaultBackend") or {}).get("service")
        or {"name": (spec(ingress).get("backend") or {}).get("serviceName")}
    ]
    backends += [(path.get("backend") or {}).get("service") or {"name": (path.get("backend") or {}).get("serviceName")}
                 for rule in dicts(spec(ingress).get("rules")) for path in dicts((rule.get("http") or {}).get("paths"))]  # fmt: skip
    for wanted in dict.fromkeys((str(b.get("name") or ""), str(_port(b))) for b in backends):
        yield from _backend(ingress, *wanted, objects)
    for tls in dicts(spec(ingress).get("tls")):
        secret = str(tls.get("secretName") or "")
        if objects.missing("Secret", place, secret):
            yield found(ingress, "tls_secret_missing", f"TLS secret {secret} does not exist",
                        "create the secret (kubernetes.io/tls) or let cert-manager issue it", "critical")  # fmt: skip


def _port(backend: Obj) -> object:
    port = backend.get("port")
    return (port.get("name") or port.get("number") or "") if isinstance(port, dict) else ""


def _backend(ingress: Obj, called: str, port: str, objects: Objects) -> Iterator[Condition]:
    place = namespace(ingress)
    if objects.missing("Service", place, called):
        yield found(ingress, "backend_missing", f"backend service {called} does not exist",
                    "create the Service or correct the rule's backend", "critical")  # fmt: skip
        return
    service = objects.get("Service", place, called)
    ports = dicts(spec(service).get("ports")) if service else []
    if port and ports and not any(port in {str(p.get("name")), str(p.get("port"))} for p in ports):
        have = ", ".join(str(p.get("port")) for p in ports)
        yield found(ingress, "backend_port_missing", f"backend service {called} has no port {port} (it has {have})",
                    "correct the rule's port", "critical")  # fmt: skip


def _policy(policy: Obj, objects: Objects) -> Iterator[Condition]:
    place, inner = namespace(policy), spec(policy)
    selector = inner.get("podSelector") or {}
    pods = [
        pod for pod in objects.in_namespace("Pod", place) if status(pod).get("phase") not in {"Succeeded", "Failed"}
    ]
    taken = [pod for pod in pods if matches(selector, meta(pod).get("labels"))]
    if selector and not taken and objects.listed("Pod", place):
        yield found(policy, "policy_selects_nothing", f"its podSelector matches none of the {len(pods)} pods of the namespace",
                    "correct the selector or delete the policy", "warning")  # fmt: skip
        return
    for way in ("ingress", "egress"):
        if any(not any(rule.values()) for rule in dicts(inner.get(way))):
            yield found(policy, "policy_allows_all", f"a rule allows all {way}"
                        + (" for every pod of the namespace" if not selector else ""),
                        "narrow the rule if that is not meant", "warning" if not selector else "note")  # fmt: skip
    yield from _blocks(policy, taken, objects)


def _blocks(policy: Obj, taken: list[Obj], objects: Objects) -> Iterator[Condition]:
    """Return what a policy newly takes from pods that ran before it: all traffic one way, DNS included."""
    inner, place = spec(policy), namespace(policy)
    types = inner.get("policyTypes") or (["Ingress", "Egress"] if "egress" in inner else ["Ingress"])
    made = meta(policy).get("creationTimestamp")
    for kind in ("Egress", "Ingress"):
        if kind not in types or inner.get(kind.lower()):
            continue
        hit = [pod for pod in taken if not _let(pod, kind, place, objects) and _before(pod, made)]
        if hit and objects.recent(made, 3600):
            what = "cannot send anything, DNS lookups included" if kind == "Egress" else "cannot be reached"
            yield found(policy, "policy_blocks", f"newly denies all {kind.lower()} of {len(hit)} running pod(s) ({name(hit[0])}): they {what}",
                        "allow what they need (for egress at least port 53 to kube-dns), or delete the policy", "critical")  # fmt: skip
        elif hit or not taken:
            yield found(
                policy,
                "policy_denies_all",
                f"denies all {kind.lower()} of the pods it selects",
                "make sure that it is meant",
                "note",
            )


def _before(pod: Obj, made: object) -> bool:
    started = meta(pod).get("creationTimestamp")
    return not made or not started or str(started) <= str(made)


def _let(pod: Obj, kind: str, place: str, objects: Objects) -> bool:
    """Whether some policy allows *pod* anything in that direction."""
    for policy in objects.in_namespace("NetworkPolicy", place):
        inner = spec(policy)
        if inner.get(kind.lower()) and matches(inner.get("podSelector") or {}, meta(pod).get("labels")):
            return True
    return False
