"""Who calls whom around the service, from declarations, trace stores, Istio, Linkerd, service graphs and Kubernetes.

Each edge says who knows of it. It accuses nobody: a caller of something broken shows the symptom, not the cause. Use it to see
what a service depends on, and who else suffers when it fails.
"""

from tools.observe import Seen, missing, observe
from tools.records import Evidence, Finding, Scope
from tools.sources import Sources
from tools.topology import Dependency, topology

NEEDS = "topology"
MAX_FINDINGS = 40
MAX_LINES = 120


async def collect(scope: Scope, sources: Sources) -> Evidence:
    """Merge what all sources know."""
    if not sources.topology:
        return missing("topology", "source of who calls whom", sources, "PROMETHEUS_URL, JAEGER_URL or KUBECONFIG")
    title = f"Who calls whom around {scope.service or scope.alert.name}"
    return await observe("topology", title, sources, lambda seen: _look(seen, scope, sources))


async def _look(seen: Seen, scope: Scope, sources: Sources) -> None:
    if not scope.service:
        raise ValueError("the alert names no service, so its neighbours cannot be looked up")
    if sources.declared:
        seen.ask("depends_on and topology of tocsin.yaml")
    read = await topology(scope, sources, seen.ask)
    near = read.around(scope.service)
    seen.findings = [_finding(edge) for edge in near[:MAX_FINDINGS]]
    seen.body = [_line(edge) for edge in near[:MAX_LINES]] + [f"not read: {note}" for note in read.notes]
    seen.truncated = len(near) > MAX_FINDINGS
    callers = sorted({edge.caller for edge in near if edge.callee == scope.service})
    callees = sorted({edge.callee for edge in near if edge.caller == scope.service})
    seen.summary = f"{scope.service} {_names('calls', callees)} and {_names('is called by', callers)}"
    if read.notes:
        seen.summary += f"; {len(read.notes)} of the sources could not be read"


def _names(verb: str, names: list[str]) -> str:
    if not names:
        return f"{verb} nobody known"
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{verb} {', '.join(names[:8])}{more}"


def _line(edge: Dependency) -> str:
    rate = f", {edge.per_s:.3g}/s" if edge.per_s is not None else ""
    fails = f", {edge.failing:.2%} fail" if edge.failing is not None else ""
    return f"{edge.caller} -> {edge.callee} ({', '.join(edge.provenance)}{rate}{fails})"


def _finding(edge: Dependency) -> Finding:
    """Plain topology: score 0 accuses nobody."""
    return Finding(
        kind="calls", service=edge.caller, statement=f"{edge.caller} calls {edge.callee}", score=0.0,
        data={
            "caller": edge.caller, "callee": edge.callee, "provenance": ", ".join(edge.provenance),
            "per_s": round(edge.per_s, 4) if edge.per_s is not None else None,
            "failing": round(edge.failing, 4) if edge.failing is not None else None,
        },
    )  # fmt: skip
