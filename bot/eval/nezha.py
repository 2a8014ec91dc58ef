"""Reads Nezha's recorded days: a metric CSV per pod, a log and a trace CSV per minute, a list of injected faults.

Called by read.py. A day is a folder with `*fault_list.json` in it or beside it; minutes without a fault lie in its `normal/`, or,
as in Nezha's repository, in `construct_data/<day>` beside `rca_data/<day>`. What is known to be wrong upstream is mended
here: `inject_timestamp` is 8 hours off on one day and `TimeStamp` of a metric file two digits off, so the written UTC
times come first. A fault or a file that cannot be read is named and left out; the others go on.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.rca.signals import Incident, Series
from bot.eval.cases import UNREADABLE, Case, DatasetError, left_out, opened
from bot.eval.nezha_metrics import FROM, read_calls, read_edges, read_metrics, written
from bot.eval.nezha_minutes import Names, minutes, read_lines, read_spans
from bot.eval.nezha_names import resolved, service_of

WINDOW = 180.0  # the task looks at three minutes from the injection on
HISTORY = 7200.0  # what the ranking looks back; the baselines take their own 30 minutes of it
HOUR = 3600.0
SLACK = 600.0  # a fault may be injected just before the first sample
ZONES = (0, *(sign * hours for hours in range(1, 15) for sign in (-1, 1)))  # hours that a local clock may be off


def fault_list(folder: Path) -> Path | None:
    """Return the list of a day's faults, in its folder or beside it; None when *folder* is no recorded day."""
    inside = next((path for path in sorted(folder.glob("*fault_list.json*"))), None)
    if inside is not None and any((folder / kind).is_dir() for kind in ("metric", "log", "trace")):
        return inside
    beside = folder.parent / f"{folder.name}-fault_list.json"
    return beside if beside.is_file() and (folder / "metric").is_dir() else None


def is_day(folder: Path) -> bool:
    """Tell whether *folder* is one recorded day."""
    return fault_list(folder) is not None


def healthy_folder(folder: Path) -> Path | None:
    """Return where the day's minutes without a fault are recorded; None where nobody recorded any."""
    places = (
        folder / "normal",
        folder.parent / "normal" / folder.name,
        folder.parent / "construct_data" / folder.name,
        folder.parent.parent / "construct_data" / folder.name,
    )
    return next((place for place in places if place.is_dir() and place != folder), None)


@dataclass(frozen=True)
class _Fault:
    name: str
    at: float
    pod: str
    kind: str


def read_day(folder: Path) -> Iterator[Case]:
    """Read the faults of one day one by one; raises DatasetError when its list of faults is none."""
    listed = fault_list(folder)
    if listed is None:
        raise DatasetError(f"{folder} holds no *fault_list.json")
    healthy = healthy_folder(folder)
    series = (*read_metrics(folder / "metric", healthy and healthy / "metric"), *read_edges(folder / "metric"))
    calls = read_calls(folder / "metric" / "dependency.csv") | frozenset(
        (one.metric.removeprefix(FROM), one.service) for one in series if one.metric.startswith(FROM)
    )
    for number, said in enumerate(_listed(listed), 1):
        try:
            fault = _fault(said, series)
        except DatasetError as wrong:
            left_out(f"{listed}, fault {number}", wrong)
            continue
        yield _case(folder, healthy, fault, series, calls)


def _listed(path: Path) -> list[object]:
    """Return the faults of a list, by whatever it groups them: the hour, the kind of fault, nothing."""
    try:
        with opened(path) as file:
            said = json.load(file)
    except UNREADABLE as wrong:
        raise DatasetError(f"{path}: not a list of faults by hour ({wrong})") from wrong
    found: list[object] = []
    todo: list[object] = [said]
    while todo:
        one = todo.pop(0)
        if isinstance(one, list):
            todo = [*one, *todo]
        elif isinstance(one, dict) and not any(key.startswith("inject") for key in one):
            todo = [*one.values(), *todo]
        else:
            found.append(one)
    return found


def _fault(said: object, series: tuple[Series, ...]) -> _Fault:
    """Read one fault's time, pod and kind; raises DatasetError for what it does not say."""
    if not isinstance(said, dict):
        raise DatasetError(f"{said!r} is not a fault with inject_time, inject_pod and inject_type")
    kind = str(said.get("inject_type", said.get("fault_type", "")))
    pod, name = _pod(said), str(said.get("inject_time") or said.get("inject_timestamp"))
    return _Fault(name, _moment(said, series), pod, kind)


def _pod(said: Mapping[str, Any]) -> str:
    given = next((said[key] for key in ("inject_pod", "inject_service", "pod", "service") if said.get(key)), None)
    if given is None:
        raise DatasetError("it names no inject_pod")
    names = [str(name) for name in given] if isinstance(given, list) else str(given).replace(";", ",").split(",")
    services = {service_of(name.strip()) for name in names}
    if len(services) != 1:
        raise DatasetError(f"it names several services ({', '.join(sorted(services))}); one answer is expected")
    return names[0].strip()


def _moment(said: Mapping[str, Any], series: tuple[Series, ...]) -> float:
    """Return when the fault was injected: as written (UTC), else as stamped, moved by whole hours into the recording."""
    given = []
    for key in ("inject_time", "inject_timestamp"):
        try:
            given.append(written(str(said.get(key, ""))))
        except ValueError:
            continue
    if not given:
        raise DatasetError(f"neither inject_time nor inject_timestamp is a time ({said.get('inject_time')!r})")
    measured = [one.times for one in series if one.times.size]
    if not measured:
        return given[0]
    first, last = min(times[0] for times in measured), max(times[-1] for times in measured)
    first, last = first - SLACK, last + SLACK
    fitting = (at + HOUR * off for off in ZONES for at in given if first <= at + HOUR * off <= last)
    return float(next(fitting, given[0]))


def _case(
    folder: Path, healthy: Path | None, fault: _Fault, series: tuple[Series, ...], calls: frozenset[tuple[str, str]]
) -> Case:
    at, until = fault.at, fault.at + WINDOW
    near = tuple(cut for one in series if (cut := _cut(one, at - HISTORY, until)).times.size)
    flows = Names()
    lines = read_lines(minutes(folder, healthy, "log", at, until), until, flows)
    spans = read_spans(minutes(folder, healthy, "trace", at, until), until, flows)
    incident = Incident(at=at, until=until, series=near, lines=lines, spans=spans, calls=calls)
    known = {one.service for one in series} | {name for pair in calls for name in pair}
    for columns in (lines, spans):
        known.update(columns.services if columns is not None else ())
    return Case(fault.name, _set_of(known, folder), resolved(service_of(fault.pod), known), fault.kind, incident)


def _set_of(services: set[str], folder: Path) -> str:
    if any(name.startswith("ts-") for name in services):
        return "nezha-trainticket"
    known = services & {"cartservice", "checkoutservice", "productcatalogservice", "recommendationservice"}
    return "nezha-onlineboutique" if known else f"nezha-{folder.name}"


def _cut(one: Series, start: float, end: float) -> Series:
    keep = (one.times >= start) & (one.times <= end)
    return Series(one.service, one.metric, one.times[keep], one.values[keep])
