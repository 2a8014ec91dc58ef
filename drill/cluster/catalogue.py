"""How the practice services behave, by image and tag; read from services.yaml by the world.

The kubelet stand-in asks it whether an image exists and how much memory its process takes; the traffic asks it how
often a version fails and how slow it is. Nothing here knows about scenarios: they only change the cluster.
"""

from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import yaml

from drill.cluster.objects import Obj


@dataclass(frozen=True)
class Fault:
    """One way in which a version fails: share of requests (0..1), answer code, and the line it logs."""

    ratio: float
    code: str
    line: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Behaviour:
    """One version of one program: latency in ms (median, log-normal sigma), memory in MiB, CPU in ms per request.

    *wait_ms*: what a request waits before the program's own clock begins; callers and traces see it, its metrics do not.
    """

    program: str
    tag: str
    latency_ms: float = 20.0
    sigma: float = 0.55
    wait_ms: float = 0.0
    memory_mi: float = 100.0
    cpu_ms: float = 3.0
    startup_s: float = 0.9
    faults: tuple[Fault, ...] = ()
    exit_after_s: float | None = None
    exit_code: int = 1
    exit_lines: tuple[str, ...] = ()
    unready: bool = False


@dataclass(frozen=True)
class Call:
    """Requests to a peer: how many per own request, and the share of failures that fail the own request."""

    peer: str
    per_request: float
    required: float


@dataclass(frozen=True)
class Service:
    """One practice service: its Deployment's spec in short, its traffic and its versions."""

    name: str
    namespace: str
    repository: str
    tag: str
    replicas: int
    routes: tuple[str, ...]
    entry_rps: float
    calls: tuple[Call, ...]
    versions: dict[str, Behaviour]
    env: dict[str, str]
    requests: dict[str, str]
    limits: dict[str, str]
    rolling: Obj
    annotations: dict[str, str]
    history: tuple[str, ...]
    log_format: str


class Catalogue:
    """All practice services, callers before callees."""

    def __init__(self, services: dict[str, Service]) -> None:
        self.services = services
        self._images = {
            f"{service.repository}:{tag}": version
            for service in services.values()
            for tag, version in service.versions.items()
        }

    def behaviour(self, image: str) -> Behaviour | None:
        """How that image runs; None when no registry has it."""
        return self._images.get(image)


def load() -> Catalogue:
    """Read the services that ship with the drill."""
    text = resources.files("drill.cluster").joinpath("services.yaml").read_text()
    raw: dict[str, Any] = yaml.safe_load(text)
    return Catalogue({name: _service(name, raw["namespace"], body) for name, body in raw["services"].items()})


def _service(name: str, namespace: str, body: dict[str, Any]) -> Service:
    base = body.get("behaviour", {})
    versions = {str(tag): _behaviour(name, str(tag), base | (own or {})) for tag, own in body["versions"].items()}
    return Service(
        name=name,
        namespace=namespace,
        repository=body["image"],
        tag=str(body["tag"]),
        replicas=body["replicas"],
        routes=tuple(body.get("routes", ["/"])),
        entry_rps=body.get("entry_rps", 0.0),
        calls=tuple(Call(**call) for call in body.get("calls", ())),
        versions=versions,
        env=body.get("env", {}),
        requests=body["requests"],
        limits=body["limits"],
        rolling=body.get("rolling", {"maxSurge": "50%", "maxUnavailable": "25%"}),
        annotations=body.get("annotations", {}),
        history=tuple(body.get("history", ())),
        log_format=body.get("log_format", "json"),
    )


def _behaviour(name: str, tag: str, body: dict[str, Any]) -> Behaviour:
    faults = tuple(Fault(**fault) for fault in body.get("faults", ()))
    lines = tuple(body.get("exit_lines", ()))
    return Behaviour(program=name, tag=tag, **(body | {"faults": faults, "exit_lines": lines}))
