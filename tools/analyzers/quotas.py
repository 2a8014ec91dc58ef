"""ResourceQuotas that are exhausted or refuse, LimitRanges that refuse."""

import re
from collections.abc import Iterator

from tools.objects import (
    Condition,
    Obj,
    Objects,
    event_count,
    event_message,
    event_target,
    event_time,
    found,
    name,
    namespace,
    spec,
    status,
)

_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
          "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50}  # fmt: skip
_QUANTITY = re.compile(r"([0-9.]+(?:[eE][+-]?\d+)?)([a-zA-Z]{0,2})")
_LIMIT = re.compile(
    r"(?i)(?:maximum|minimum|max limit to request ratio).{0,60}(?:usage )?per (?:container|pod|persistentvolumeclaim)"
)
_RECENT_S = 3600
# Objects that are counted once and for all: being full of them is common and on purpose
_FIXED = re.compile(r"^(?:count/|services\.|configmaps|secrets|resourcequotas|replicationcontrollers)|\.storageclass\.")


def analyze(objects: Objects) -> Iterator[Condition]:
    """Return the conditions of every ResourceQuota and LimitRange."""
    refusals = [e for e in objects.all("Event") if objects.recent(event_time(e), _RECENT_S)]
    for quota in objects.all("ResourceQuota"):
        yield from _quota(
            quota, [e for e in refusals if f"exceeded quota: {name(quota)}" in event_message(e) and _near(e, quota)]
        )
    for limits in objects.all("LimitRange"):
        hits = [e for e in refusals if _LIMIT.search(event_message(e)) and _near(e, limits)]
        if hits:
            yield found(limits, "limit_range_refuses", f"{_times(hits)} refused: {event_message(hits[-1])}",
                        "bring the pods' requests and limits within it, or change it", "critical", event_time(hits[-1]))  # fmt: skip


def _near(event: Obj, obj: Obj) -> bool:
    return namespace(obj) in {namespace(event), str(event_target(event).get("namespace") or "")}


def _times(events: list[Obj]) -> str:
    count = sum(map(event_count, events))
    return f"{count} request{'s' if count > 1 else ''}"


def _quota(quota: Obj, refused: list[Obj]) -> Iterator[Condition]:
    if refused:
        yield found(quota, "quota_refuses", f"exceeded quota, {_times(refused)} refused: {event_message(refused[-1])}",
                    "raise the quota or lower what is asked for", "critical", event_time(refused[-1]))  # fmt: skip
        return
    hard, used = status(quota).get("hard") or spec(quota).get("hard") or {}, status(quota).get("used") or {}
    full = [f"{key} {used[key]} of {limit}" for key, limit in sorted(hard.items()) if key in used and _full(used[key], limit)
            and not _FIXED.search(key)]  # fmt: skip
    if full:
        yield found(
            quota, "quota_exhausted", f"exhausted: {', '.join(full)}", "raise the quota or free what is not needed"
        )


def _full(used: object, limit: object) -> bool:
    have, most = quantity(used), quantity(limit)
    return have is not None and most is not None and have >= most > 0


def quantity(value: object) -> float | None:
    """Return a Kubernetes quantity ("500m", "2Gi") as a number; None when it is none."""
    told = _QUANTITY.fullmatch(str(value))
    if not told or told[2] not in _UNITS:
        return None
    try:
        return float(told[1]) * _UNITS[told[2]]
    except ValueError:
        return None
