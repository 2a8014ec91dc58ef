"""What a delivery tool did to a workload: Helm releases, Argo CD Applications, Flux HelmReleases and Kustomizations.

Read by tools.evidence.changes. The workload's own labels and annotations say who keeps it, so only that object is asked for. Of
a Helm release's Secret only its revision, status, chart and times are kept; values and manifests are dropped unread.
"""

import asyncio
import base64
import binascii
import gzip
import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from tools.errors import Permanent, TocsinError
from tools.history import Event, place
from tools.kube import Forbidden, Kube, NotFound
from tools.objects import condition, dicts, status
from tools.prometheus import moment
from tools.records import Scalar
from tools.workloads import Workload, annotations_of, items, labels_of

Obj = dict[str, Any]
Ask = Callable[[str], str]
MAX_RELEASES = 3
MAX_RELEASE_BYTES = 8 * 1024 * 1024
_ARGO = "/apis/argoproj.io/v1alpha1"
_FLUX = {
    "helm.toolkit.fluxcd.io": ("helmreleases", "HelmRelease", ("v2", "v2beta2", "v2beta1")),
    "kustomize.toolkit.fluxcd.io": ("kustomizations", "Kustomization", ("v1", "v1beta2")),
}


async def deliveries(kube: Kube, workload: Workload, ask: Ask, unread: Callable[[str], None]) -> list[Event]:
    """Return what the tools that keep *workload* did last; *unread* is told what may not be read."""
    looks = (_argo(kube, workload, ask), _flux(kube, workload, ask), _helm(kube, workload, ask))

    async def one(look: Any) -> list[Event]:
        try:
            found: list[Event] = await look
        except NotFound:
            return []
        except Forbidden as exc:
            unread(f"{exc}; see docs/operations.md, Changes")
            return []
        except TocsinError as exc:  # what delivered a workload must not cost the workload itself
            unread(str(exc))
            return []
        return found

    return [event for events in await asyncio.gather(*map(one, looks)) for event in events]


def _event(
    workload: Workload, tool: str, named: str, said: str, at: datetime | None, worth: float, **data: Scalar
) -> Event:
    given = place(workload) | {"tool": tool, "name": named} | data
    clean = said.replace("{", "(").replace("}", ")")
    return Event("delivered", workload.service, f"{tool} {named} {clean} {{when}}", at, worth, given)


async def _argo(kube: Kube, workload: Workload, ask: Ask) -> list[Event]:
    marks = {**labels_of(workload.obj), **annotations_of(workload.obj)}
    tracked = marks.get("argocd.argoproj.io/tracking-id", "").partition(":")[0] or marks.get(
        "argocd.argoproj.io/instance", ""
    )
    if not tracked:
        return []
    space, _, called = tracked.rpartition(
        "_"
    )  # an Application outside Argo CD's own namespace is tracked as <namespace>_<name>
    path = f"{_ARGO}/namespaces/{space}/applications" if space else f"{_ARGO}/applications"
    query = {"fieldSelector": f"metadata.name={called}", "limit": "500"}
    listed = items(await kube.get(ask(path), query), path)
    app = next((each for each in listed if (each.get("metadata") or {}).get("name") == called), None)
    return list(_application(app, called, workload)) if app else []


def _application(app: Obj, called: str, workload: Workload) -> Iterator[Event]:
    state = status(app)
    history = sorted(dicts(state.get("history")), key=lambda row: str(row.get("deployedAt") or ""))
    for old, new in zip([{}, *history], history, strict=False):
        if new not in history[-2:]:
            continue
        before, after = _revisions(old), _revisions(new)
        said = f"synced {after}" + (f", before {before}" if before and before != after else "")
        worth = 0.7 if before != after else 0.3
        yield _event(
            workload, "Argo CD", called, said, moment(new.get("deployedAt")), worth, before=before, after=after
        )
    operation = state.get("operationState") or {}
    if operation.get("phase") in {"Failed", "Error"}:
        told = f"failed to sync: {str(operation.get('message') or '')[:200]}"
        yield _event(
            workload, "Argo CD", called, told, moment(operation.get("finishedAt")), 0.6, phase=operation["phase"]
        )


def _revisions(row: Obj) -> str:
    found = row.get("revisions") or ([row["revision"]] if row.get("revision") else [])
    return ", ".join(str(each)[:12] for each in found)


async def _flux(kube: Kube, workload: Workload, ask: Ask) -> list[Event]:
    found: list[Event] = []
    labels = labels_of(workload.obj)
    for group, (plural, kind, versions) in _FLUX.items():
        called, space = labels.get(f"{group}/name"), labels.get(f"{group}/namespace", workload.namespace.name)
        if called:
            obj = await _first(
                kube, [f"/apis/{group}/{version}/namespaces/{space}/{plural}/{called}" for version in versions], ask
            )
            found += _flux_events(obj, kind, called, workload)
    return found


async def _first(kube: Kube, paths: list[str], ask: Ask) -> Obj:
    for path in paths:
        try:
            return await kube.get(ask(path))
        except NotFound:
            continue
    raise NotFound(f"Kubernetes {paths[0]}: there is no such object")


def _flux_events(obj: Obj, kind: str, called: str, workload: Workload) -> Iterator[Event]:
    state, ready = status(obj), condition(obj, "Ready")
    applied = str(state.get("lastAppliedRevision") or "")
    attempted = str(state.get("lastAttemptedRevision") or "")
    at = moment(ready.get("lastTransitionTime"))
    message = str(ready.get("message") or "")[:200]
    if ready.get("status") == "False":
        said = f"failed to apply {attempted or 'its revision'}: {ready.get('reason', '')}: {message}"
        yield _event(workload, f"Flux {kind}", called, said, at, 0.6, before=applied, after=attempted)
    history = dicts(state.get("history"))
    for row in history[:2]:
        said = f"deployed chart {row.get('chartName', '')} {row.get('chartVersion', '')} (release {row.get('version', '?')}, {row.get('status', '')})"
        yield _event(
            workload,
            f"Flux {kind}",
            called,
            said,
            moment(row.get("lastDeployed")),
            0.7,
            after=str(row.get("chartVersion") or ""),
        )
    if not history and applied and ready.get("status") == "True":
        yield _event(workload, f"Flux {kind}", called, f"applied {applied}", at, 0.7, after=applied)


async def _helm(kube: Kube, workload: Workload, ask: Ask) -> list[Event]:
    marks = annotations_of(workload.obj)
    called = marks.get("meta.helm.sh/release-name")
    if not called:
        return []
    space = marks.get("meta.helm.sh/release-namespace", workload.namespace.name)
    path = f"/api/v1/namespaces/{space}/secrets"
    chosen = f"owner=helm,name={called}"
    ask(f"{path}?labelSelector={chosen}")
    query = {"labelSelector": chosen, "fieldSelector": "type=helm.sh/release.v1", "limit": "50"}
    secrets = [s for s in items(await kube.get(path, query), path) if s.get("type") == "helm.sh/release.v1"]
    secrets.sort(key=lambda each: _number(labels_of(each).get("version")), reverse=True)
    releases = [release_of(each) for each in secrets[:MAX_RELEASES]]
    return [
        _release(workload, called, new, old) for new, old in zip(releases, [*releases[1:], {}], strict=True)
        if new is not releases[-1] or len(releases) < MAX_RELEASES
    ]  # fmt: skip


def _release(workload: Workload, called: str, new: dict[str, str], old: dict[str, str]) -> Event:
    chart, before = new.get("chart", ""), old.get("chart", "")
    was = f", before {before}" if before and before != chart else ""
    said = f"release {new.get('revision', '?')} of {chart}{was} ({new.get('status', '')}: {new.get('description', '')})"
    bad = new.get("status") in {"failed", "pending-upgrade", "pending-rollback", "pending-install"}
    return _event(
        workload, "Helm", called, said, moment(new.get("deployed")), 0.75 if bad else 0.7, revision=new.get("revision", ""),
        status=new.get("status", ""), before=before, after=chart,
    )  # fmt: skip


def release_of(secret: Obj) -> dict[str, str]:
    """Return a release's revision, status, chart, description and time out of its Secret; nothing else of it is kept.

    The payload is base64 (the API's) of base64 (Helm's) of gzipped JSON. Raises Permanent for any other.
    """
    try:
        packed = base64.b64decode(base64.b64decode(str((secret.get("data") or {})["release"])))
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            raw = file.read(MAX_RELEASE_BYTES + 1)
        release = json.loads(raw)  # one that was cut at the limit is no JSON
        info, chart = release["info"], release["chart"]["metadata"]
        return {
            "revision": str(release.get("version") or ""), "status": str(info.get("status") or ""),
            "chart": f"{chart.get('name', '')}-{chart.get('version', '')}", "deployed": str(info.get("last_deployed") or ""),
            "description": str(info.get("description") or "")[:120],
        }  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError, OSError, EOFError, binascii.Error) as exc:
        called = (secret.get("metadata") or {}).get("name")
        raise Permanent(f"Secret {called}: no Helm release can be read from it ({type(exc).__name__})") from exc


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
