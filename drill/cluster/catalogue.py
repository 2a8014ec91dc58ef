"""How the practice services behave, by image and tag; read from services.yaml by the world.

The kubelet stand-in asks it whether an image exists and how much memory its process takes; the traffic asks it how
often a version fails and how slow it is. Nothing here knows about scenarios: they only change the cluster.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, TypeVar

import yaml

from drill.cluster.objects import Obj

_T = TypeVar("_T")


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
    *cpu_cores*: what it burns besides requests. *accepts*: values its arguments may have; with another it ends with code 2.
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
    ready_paths: tuple[str, ...] = ("/ready",)
    cpu_cores: float = 0.004
    accepts: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Call:
    """Requests to a peer: how many per own request, and the share of failures that fail the own request.

    *buys*: only those who buy come here, not the further visitors of a busy day.
    """

    peer: str
    per_request: float
    required: float
    buys: bool = False


@dataclass(frozen=True)
class Setting:
    """A ConfigMap key that the program reads as it changes; a value that is not *good* brings the fault."""

    configmap: str
    key: str
    good: tuple[str, ...]
    fault: Fault


@dataclass(frozen=True)
class Disk:
    """A claim that the program writes to at *path*; a full volume brings the fault."""

    claim: str
    path: str
    fault: Fault


@dataclass(frozen=True)
class Consumer:
    """A queue that the program empties, *per_s* messages a pod; requests to *feeds* fill it, one message each."""

    queue: str
    per_s: float
    feeds: str


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
    setting: Setting | None = None
    disk: Disk | None = None
    consumes: Consumer | None = None


class Catalogue:
    """All practice services, callers before callees."""

    def __init__(self, services: dict[str, Service], programs: dict[str, Behaviour] | None = None) -> None:
        self.services = services
        self._images = {
            f"{service.repository}:{tag}": version
            for service in services.values()
            for tag, version in service.versions.items()
        } | (programs or {})

    def behaviour(self, image: str) -> Behaviour | None:
        """How that image runs; None when no registry has it."""
        return self._images.get(image)


def load() -> Catalogue:
    """Read the services that ship with the drill."""
    text = resources.files("drill.cluster").joinpath("services.yaml").read_text()
    raw: dict[str, Any] = yaml.safe_load(text)
    services = {name: _service(name, raw["namespace"], body) for name, body in raw["services"].items()}
    return Catalogue(services, dict(_programs(raw.get("programs", {}))))


def _programs(raw: dict[str, Any]) -> Iterator[tuple[str, Behaviour]]:
    """Return what runs besides the services: (image, how it runs)."""
    for name, body in raw.items():
        for tag, own in body["versions"].items():
            yield f"{body['image']}:{tag}", _behaviour(name, str(tag), body.get("behaviour", {}) | (own or {}))


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
        setting=_with_fault(Setting, body.get("setting")),
        disk=_with_fault(Disk, body.get("disk")),
        consumes=Consumer(**body["consumes"]) if "consumes" in body else None,
    )


def _with_fault(make: Callable[..., _T], body: dict[str, Any] | None) -> _T | None:
    if body is None:
        return None
    good = {"good": tuple(map(str, body["good"]))} if "good" in body else {}
    return make(**(body | good | {"fault": Fault(**body["fault"])}))


def _behaviour(name: str, tag: str, body: dict[str, Any]) -> Behaviour:
    faults = tuple(Fault(**fault) for fault in body.get("faults", ()))
    lines = tuple(body.get("exit_lines", ()))
    accepts = {flag: tuple(map(str, values)) for flag, values in body.get("accepts", {}).items()}
    own = {"faults": faults, "exit_lines": lines, "accepts": accepts}
    return Behaviour(program=name, tag=tag, **(body | own))
