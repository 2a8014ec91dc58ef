"""A made system of services under requests and faults with a known culprit, for systems that nobody recorded.

Written in Nezha's layout by simulate_files.py, for `tocsin eval simulate`. Two kinds of system: "boutique", the call graph of Online
Boutique, and "random", layered graphs of any size. Requests are simulated one by one: own work is lognormal, every hop has
a network, services log their steps under their span. The ranking knows nothing of this module, and its figures
here say how it does on what is modelled, not on life.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

FAULTS = ("cpu_contention", "cpu_consumed", "network_delay", "return", "exception")
Dice = random.Random
BOUTIQUE: Mapping[str, tuple[str, ...]] = {
    "frontend": ("productcatalogservice", "currencyservice", "cartservice", "recommendationservice", "adservice",
                 "shippingservice", "checkoutservice"),
    "recommendationservice": ("productcatalogservice",),
    "checkoutservice": ("cartservice", "productcatalogservice", "currencyservice", "shippingservice", "paymentservice",
                        "emailservice"),
    "productcatalogservice": (), "currencyservice": (), "cartservice": (), "adservice": (), "shippingservice": (),
    "paymentservice": (), "emailservice": (),
}  # fmt: skip
PAGES: Mapping[str, tuple[str, ...]] = {
    "Recv./": ("currencyservice", "productcatalogservice", "cartservice", "currencyservice", "adservice"),
    "Recv./product": ("productcatalogservice", "currencyservice", "cartservice", "recommendationservice", "adservice"),
    "Recv./cart": (
        "currencyservice",
        "cartservice",
        "recommendationservice",
        "shippingservice",
        "productcatalogservice",
    ),
    "Recv./cart/checkout": ("checkoutservice", "recommendationservice", "currencyservice"),
}


@dataclass(frozen=True)
class Operation:
    """One operation of a service: callees (service, operation) in order, a log line after each, seconds of own work."""

    service: str
    name: str
    calls: tuple[tuple[str, str], ...]
    work: float


@dataclass(frozen=True)
class System:
    """Operations by (service, name), those that users ask for, and pods by service."""

    operations: Mapping[tuple[str, str], Operation]
    asked: tuple[tuple[str, str], ...]
    pods: Mapping[str, str]

    def edges(self) -> list[tuple[str, str]]:
        """Return who calls whom."""
        return sorted({(one.service, callee) for one in self.operations.values() for callee, _ in one.calls})


@dataclass(frozen=True)
class Fault:
    """What is broken from *start* to *end*: *size* is the delay in seconds, or how many times slower work is."""

    service: str
    kind: str
    start: float
    end: float
    size: float
    operation: str = ""
    step: int = 0

    def on(self, service: str, at: float) -> bool:
        """Tell whether *service* is hit at that time."""
        return service == self.service and self.start <= at < self.end


@dataclass
class Span:
    """One recorded span; *logs* are (time, text, severe)."""

    trace: str
    id: str
    parent: str
    service: str
    name: str
    start: float
    end: float = 0.0
    ok: bool = True
    server: bool = True
    logs: list[tuple[float, str, bool]] = field(default_factory=list)


def _pod(service: str, dice: Dice) -> str:
    tail = "".join(dice.choice("bcdfghjklmnpqrstvwxz2456789") for _ in range(5))
    return f"{service}-{dice.randrange(16**9, 16**10):x}-{tail}"


def boutique(dice: Dice) -> System:
    """Build Online Boutique's call graph with its pages."""
    known: dict[tuple[str, str], Operation] = {}
    for service, callees in BOUTIQUE.items():
        if service != "frontend":
            name = f"hipster.{service}/Do"
            calls = tuple((callee, f"hipster.{callee}/Do") for callee in callees)
            known[service, name] = Operation(service, name, calls, dice.uniform(0.001, 0.006))
    for page, callees in PAGES.items():
        calls = tuple((callee, f"hipster.{callee}/Do") for callee in callees)
        known["frontend", page] = Operation("frontend", page, calls, 0.004)
    return System(known, tuple(("frontend", page) for page in PAGES), {name: _pod(name, dice) for name in BOUTIQUE})


def layered(dice: Dice, size: int) -> System:
    """Build a random layered system of *size* services behind one entry."""
    layers: list[list[str]] = [["edge"]]
    names = [f"svc-{number:02}" for number in range(size - 1)]
    while names:
        layers.append([names.pop() for _ in range(min(len(names), dice.randint(2, max(3, size // 4))))])
    known: dict[tuple[str, str], Operation] = {}
    for depth in range(len(layers) - 1, -1, -1):
        below = [key for layer in layers[depth + 1 :] for service in layer for key in known if key[0] == service]
        for service in layers[depth]:
            for number in range(dice.randint(3, 6) if depth == 0 else dice.randint(1, 3)):
                calls = tuple(dice.sample(below, min(len(below), dice.randint(depth == 0, 3)))) if below else ()
                name = f"{dice.choice(['GET', 'POST', 'PUT'])} /{service}/{number}"
                known[service, name] = Operation(service, name, calls, dice.lognormvariate(-5.5, 0.6))
    asked = tuple(key for key in known if key[0] == "edge")
    return System(known, asked, {name: _pod(name, dice) for layer in layers for name in layer})


def faulty(system: System, dice: Dice, start: float) -> Fault:
    """Break one service that is called, for about three minutes: which, how and how badly is chance."""
    reached: set[tuple[str, str]] = set()
    todo = list(system.asked)
    while todo:
        key = todo.pop()
        if key not in reached:
            reached.add(key)
            todo += system.operations[key].calls
    service = dice.choice(sorted({name for name, _ in reached}))
    kind = dice.choice(FAULTS)
    operation = dice.choice(sorted(name for owner, name in reached if owner == service))
    steps = len(system.operations[service, operation].calls)
    size = {"network_delay": dice.uniform(0.05, 1.0)}.get(kind, dice.uniform(4, 30))
    return Fault(service, kind, start, start + 180.0, size, operation, dice.randint(0, steps))


class World:
    """Runs requests through a system, broken as *faults* say."""

    def __init__(self, system: System, faults: list[Fault], dice: Dice) -> None:
        self.system = system
        self.faults = faults
        self.dice = dice

    def _fault(self, service: str, at: float) -> Fault | None:
        return next((one for one in self.faults if one.on(service, at)), None)

    def _id(self, size: int) -> str:
        return f"{self.dice.getrandbits(size * 4):0{size}x}"

    def request(self, key: tuple[str, str], at: float) -> list[Span]:
        """Run one request; returns its spans, the root first."""
        spans: list[Span] = []
        self._serve(key, at, self._id(32), "root", spans)
        return spans

    def _network(self, caller: str, callee: str, at: float) -> float:
        slow = sum(
            one.size for name in (caller, callee) if (one := self._fault(name, at)) and one.kind == "network_delay"
        )
        return self.dice.lognormvariate(-7.5, 0.4) + slow

    def _serve(self, key: tuple[str, str], at: float, trace: str, parent: str, spans: list[Span]) -> Span:
        doing, fault = self.system.operations[key], self._fault(key[0], at)
        span = Span(trace, self._id(16), parent, *key, at)
        spans.append(span)
        slower = fault.size if fault and fault.kind.startswith("cpu") else 1.0
        code = fault if fault and fault.kind in ("return", "exception") and fault.operation == key[1] else None
        now = at
        span.logs.append((now, f"{key[1]} called for user {self._id(8)}", False))
        for step in range(len(doing.calls) + 1):
            now += doing.work / (len(doing.calls) + 1) * self.dice.lognormvariate(0, 0.3) * slower
            if code is not None and step == code.step:
                if code.kind == "exception":
                    span.ok = False
                    span.logs.append((now, f"ERROR {key[1]} failed: NullPointerException at line {step}", True))
                break
            if step == len(doing.calls):
                span.logs.append((now, f"{key[1]} done in {(now - at) * 1000:.1f} ms", False))
                break
            callee = doing.calls[step]
            client = Span(trace, self._id(16), span.id, key[0], f"Sent.{callee[1]}", now, server=False)
            spans.append(client)
            way = self._network(key[0], callee[0], now) / 2
            served = self._serve(callee, now + way, trace, client.id, spans)
            client.end = now = served.end + way
            if not served.ok:
                client.ok = span.ok = False
                span.logs.append((now, f"WARN call of {callee[1]} failed", True))
                break
            span.logs.append(
                (now, f"step {step} of {key[1]}: got {self.dice.randint(1, 40)} items from {callee[0]}", False)
            )
        span.end = now
        return span
