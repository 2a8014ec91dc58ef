"""Gateway API: classes not accepted, gateways that are missing or bad, routes whose parents or backends are wrong."""

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
    said,
    spec,
    status,
)

ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
_FRESH_S = 60


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every GatewayClass, Gateway and route."""
    for each in objects.all("GatewayClass"):
        accepted = condition(each, "Accepted")
        if accepted.get("status") == "False" or (
            accepted.get("status") == "Unknown" and not objects.younger(each, _FRESH_S)
        ):
            yield found(each, "gateway_class_not_accepted", f"GatewayClass is not accepted: {said(accepted, 'no reason')}",
                        "install or repair the controller it names", "critical")  # fmt: skip
    for gateway in objects.all("Gateway"):
        yield from _gateway(gateway, objects)
    for route in objects.all(*ROUTES):
        yield from _route(route, objects)


def _gateway(gateway: Obj, objects: Objects) -> Iterator[Condition]:
    called = str(spec(gateway).get("gatewayClassName") or "")
    if objects.missing("GatewayClass", "", called):
        yield found(
            gateway,
            "gateway_class_missing",
            f"GatewayClass {called} does not exist",
            "install its controller or correct the name",
            "critical",
        )
    for kind in ("Accepted", "Programmed", "Ready"):
        bad = condition(gateway, kind)
        if bad.get("status") == "False" or (
            bad.get("status") == "Unknown" and kind == "Accepted" and not objects.younger(gateway, _FRESH_S)
        ):
            yield found(
                gateway,
                "gateway_bad",
                f"{kind} is {bad.get('status')}: {said(bad, 'no reason')}",
                "mend what the message names",
                "critical",
            )
            return


def _route(route: Obj, objects: Objects) -> Iterator[Condition]:
    place = namespace(route)
    refs = [ref for ref in dicts(spec(route).get("parentRefs")) if ref.get("kind", "Gateway") == "Gateway"]
    for ref in refs:
        where, called = str(ref.get("namespace") or place), str(ref.get("name") or "")
        gateway = objects.get("Gateway", where, called)
        if gateway is None and (
            objects.missing("Gateway", where, called) or (objects.listed("Gateway") and _cluster(objects, where))
        ):
            yield found(
                route,
                "route_without_gateway",
                f"Gateway {where}/{called} does not exist",
                "correct parentRefs or create the Gateway",
                "critical",
            )
        elif gateway is not None and not _allowed(route, gateway, objects):
            yield found(route, "route_wrong_namespace", f"Gateway {where}/{called} takes no routes from namespace {place}",
                        "widen the listener's allowedRoutes or move the route", "critical")  # fmt: skip
    for rule in dicts(spec(route).get("rules")):
        for ref in dicts(rule.get("backendRefs")):
            yield from _backend(route, ref, objects)
    for parent in dicts(status(route).get("parents")):
        for bad in dicts(parent.get("conditions")):
            if bad.get("status") == "False" and bad.get("type") in {"Accepted", "ResolvedRefs"}:
                yield found(
                    route,
                    "route_not_accepted",
                    f"{bad['type']} is False: {said(bad)}",
                    "mend what the message names",
                    "critical",
                )


def _cluster(objects: Objects, where: str) -> bool:
    return any(namespace(each) == where for each in objects.all("Service", "Pod", *ROUTES))


def _allowed(route: Obj, gateway: Obj, objects: Objects) -> bool:
    if namespace(route) == namespace(gateway):
        return True
    for listener in dicts(spec(gateway).get("listeners")):
        rule = ((listener.get("allowedRoutes") or {}).get("namespaces")) or {}
        take = rule.get("from") or "Same"
        if take == "All":
            return True
        if take == "Selector":
            home = objects.get("Namespace", "", namespace(route))
            if home is None or matches(rule.get("selector") or {}, meta(home).get("labels")):
                return True
    return False


def _backend(route: Obj, ref: Obj, objects: Objects) -> Iterator[Condition]:
    if ref.get("kind", "Service") != "Service":
        return
    where, called = str(ref.get("namespace") or namespace(route)), str(ref.get("name") or "")
    service = objects.get("Service", where, called)
    if objects.missing("Service", where, called):
        yield found(
            route,
            "backend_missing",
            f"backend Service {where}/{called} does not exist",
            "create the Service or correct backendRefs",
            "critical",
        )
    elif service is not None and ref.get("port") is not None:
        ports = [p.get("port") for p in dicts(spec(service).get("ports"))]
        if ports and ref["port"] not in ports:
            have = ", ".join(map(str, ports))
            yield found(route, "backend_port_missing", f"backend Service {name(service)} has no port {ref['port']} (it has {have})",
                        "correct the port in backendRefs", "critical")  # fmt: skip
