"""A set of Kubernetes objects and what can be asked of it; used by tools.analyzers, tools.inspect and tools.evidence.kubernetes.

Objects are the API's own JSON. A set may be partial: ``listed`` says whether it can be trusted to hold all of a kind.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from tools.prometheus import moment

Obj = dict[str, Any]
Severity = Literal["critical", "warning", "note"]


@dataclass(frozen=True)
class Condition:
    """One named condition of one object: *why* says what was seen, *remedy* what to do. Notes are no problems."""

    kind: str
    namespace: str
    name: str
    condition: str
    why: str
    remedy: str
    severity: Severity = "warning"
    at: datetime | None = None

    @property
    def about(self) -> str:
        """``Pod/shop/cart-1``; cluster-wide objects have no namespace."""
        return "/".join(part for part in (self.kind, self.namespace, self.name) if part)


def meta(obj: Obj) -> Obj:
    """Return metadata, {} when there is none."""
    return _dict(obj.get("metadata"))


def spec(obj: Obj) -> Obj:
    """Return spec, {} when there is none."""
    return _dict(obj.get("spec"))


def status(obj: Obj) -> Obj:
    """Return status, {} when there is none."""
    return _dict(obj.get("status"))


def _dict(value: Any) -> Obj:
    return value if isinstance(value, dict) else {}


def dicts(value: Any) -> list[Obj]:
    """Return the objects of a list, leaving out what is none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def name(obj: Obj) -> str:
    """Return metadata.name."""
    return str(meta(obj).get("name") or "")


def namespace(obj: Obj) -> str:
    """Return metadata.namespace, "" for cluster-wide objects."""
    return str(meta(obj).get("namespace") or "")


def number(value: Any, default: int = 0) -> int:
    """Return *value* as an integer, *default* when it is none."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return default


def condition(obj: Obj, kind: str) -> Obj:
    """Return the condition of type *kind* in an object's status, {} when it has none."""
    return next((c for c in dicts(status(obj).get("conditions")) if c.get("type") == kind), {})


def said(cond: Obj, default: str = "") -> str:
    """Return a condition's reason and message in one text."""
    parts = [str(cond[key]) for key in ("reason", "message") if cond.get(key)]
    return ": ".join(parts) or default


def found(
    obj: Obj, named: str, why: str, remedy: str, severity: Severity = "warning", at: datetime | None = None
) -> Condition:
    """Return the condition *named* of *obj*."""
    return Condition(str(obj.get("kind", "")), namespace(obj), name(obj), named, why, remedy, severity, at)


def matches(selector: Obj, labels: Any) -> bool:
    """Whether a label selector (matchLabels and matchExpressions; an empty one takes all) takes *labels*."""
    have = _dict(labels)
    if any(have.get(key) != value for key, value in _dict(selector.get("matchLabels")).items()):
        return False
    return all(_expression(each, have) for each in dicts(selector.get("matchExpressions")))


def _expression(each: Obj, have: Obj) -> bool:
    key, values = each.get("key"), each.get("values") or []
    there = key in have
    taken = there and have.get(str(key)) in values
    return {"In": taken, "NotIn": not taken, "Exists": there, "DoesNotExist": not there}.get(
        str(each.get("operator")), True
    )


def pod_spec(obj: Obj) -> Obj:
    """Return the pod's spec of a Pod, a workload, a Job or a CronJob."""
    inner = spec(obj)
    if obj.get("kind") == "CronJob":
        inner = _dict(_dict(inner.get("jobTemplate")).get("spec"))
    return inner if obj.get("kind") == "Pod" else _dict(_dict(inner.get("template")).get("spec"))


def containers(pod: Obj) -> list[Obj]:
    """Return the init containers and containers of a pod's spec."""
    return [*dicts(pod.get("initContainers")), *dicts(pod.get("containers"))]


def event_time(event: Obj) -> datetime | None:
    """Return when an event was last seen."""
    texts = (
        _dict(event.get("series")).get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"),
        event.get("deprecatedLastTimestamp"), event.get("firstTimestamp"), meta(event).get("creationTimestamp"),
    )  # fmt: skip
    return next((at for at in map(moment, texts) if at), None)


def event_count(event: Obj) -> int:
    """Return how often an event was seen."""
    return max(
        number(event.get("count")),
        number(_dict(event.get("series")).get("count")),
        number(event.get("deprecatedCount")),
        1,
    )


def event_message(event: Obj) -> str:
    """Return an event's message, of either API version."""
    return str(event.get("message") or event.get("note") or "")


def event_target(event: Obj) -> Obj:
    """Return the reference to what an event is about."""
    return _dict(event.get("involvedObject")) or _dict(event.get("regarding"))


@dataclass(frozen=True)
class Objects:
    """Objects at the time *now*; *clock* says that *now* is a clock's or a caller's and not read from the objects.

    *today*: a clock's time where *now* is the objects' own: what a stored certificate's end is compared with.
    *lists*: kinds known to be complete although they may be empty, as (kind, namespace), "" for all namespaces.
    """

    items: tuple[Obj, ...]
    now: datetime
    clock: bool = False
    lists: frozenset[tuple[str, str]] = frozenset()
    today: datetime | None = None

    @cached_property
    def _by_kind(self) -> dict[str, list[Obj]]:
        sorted_out: dict[str, list[Obj]] = defaultdict(list)
        for obj in self.items:
            sorted_out[str(obj.get("kind", ""))].append(obj)
        return sorted_out

    @cached_property
    def _by_name(self) -> dict[tuple[str, str, str], Obj]:
        return {(str(obj.get("kind", "")), namespace(obj), name(obj)): obj for obj in self.items}

    @cached_property
    def _events(self) -> dict[tuple[str, str, str], list[Obj]]:
        about: dict[tuple[str, str, str], list[Obj]] = defaultdict(list)
        for event in self.all("Event"):
            target = event_target(event)
            place = str(target.get("namespace") or "")
            about[str(target.get("kind", "")), place, str(target.get("name", ""))].append(event)
        for events in about.values():
            events.sort(key=lambda event: at.timestamp() if (at := event_time(event)) else 0.0)
        return about

    def all(self, *kinds: str) -> Iterator[Obj]:
        """Return the objects of *kinds*."""
        for kind in kinds:
            yield from self._by_kind.get(kind, ())

    def get(self, kind: str, place: str, called: str) -> Obj | None:
        """Return one object, None when it is not among them."""
        return self._by_name.get((kind, place, called))

    def listed(self, kind: str, place: str = "") -> bool:
        """Whether the objects hold all of *kind* in namespace *place*, so that what is not there does not exist."""
        if (kind, place) in self.lists or (kind, "") in self.lists:
            return True
        return any(not place or namespace(obj) == place for obj in self.all(kind))

    def missing(self, kind: str, place: str, called: str) -> bool:
        """Whether *called* does not exist: its kind was listed and it is not there."""
        return bool(called) and self.listed(kind, place) and self.get(kind, place, called) is None

    def events(self, obj: Obj) -> list[Obj]:
        """Return the events about *obj*, oldest first."""
        key = (str(obj.get("kind", "")), namespace(obj), name(obj))
        uid = meta(obj).get("uid")
        return [
            e for e in self._events.get(key, [])
            if not uid or event_target(e).get("uid") in {uid, None, "", key[2]}
        ]  # fmt: skip

    def in_namespace(self, kind: str, place: str) -> list[Obj]:
        """Return the objects of *kind* in namespace *place*."""
        return [obj for obj in self.all(kind) if namespace(obj) == place]

    def since(self, text: Any) -> timedelta | None:
        """Return how long ago *text* was; None when that cannot be told: no time, or nothing newer has been seen."""
        at = text if isinstance(text, datetime) else moment(text)
        if at is None:
            return None
        ago = self.now - at
        return ago if self.clock or ago > timedelta(0) else None

    def younger(self, obj: Obj, seconds: float) -> bool:
        """Whether *obj* is known to be younger than *seconds*."""
        ago = self.since(meta(obj).get("creationTimestamp"))
        return ago is not None and ago < timedelta(seconds=seconds)

    def recent(self, text: Any, seconds: float) -> bool:
        """Whether *text* is not known to be longer ago than *seconds*."""
        ago = self.since(text)
        return ago is None or ago <= timedelta(seconds=seconds)


def newest(items: Iterable[Obj]) -> datetime | None:
    """Return the newest time that objects say something happened; ends of validity and plans do not count."""
    best: datetime | None = None
    todo: list[Any] = list(items)
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            todo += [inner for key, inner in value.items() if key not in _PLANS]
        elif isinstance(value, list):
            todo += value
        elif isinstance(value, str) and 19 <= len(value) <= 40 and value[:2] == "20":
            at = moment(value)
            best = max(best, at) if best and at else at or best
    return best


_PLANS = frozenset(
    {"notAfter", "notBefore", "renewalTime", "annotations", "data", "stringData", "binaryData", "labels", "env", "args"}
)
