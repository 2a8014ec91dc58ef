"""Validating webhooks, called over HTTPS as the API server calls them; asked by writes.py before anything is stored.

A webhook that cannot be reached refuses or is passed over, as its failurePolicy says.
"""

import base64
import json
import ssl
import urllib.error
import urllib.request
import uuid

from drill.cluster import kinds
from drill.cluster.objects import ApiError, Obj, matches_labels
from drill.cluster.requests import Target
from drill.cluster.store import Store

_MOST_BYTES = 1_000_000


def check(store: Store, target: Target, operation: str, obj: Obj | None, old: Obj | None, *, dry_run: bool) -> None:
    """Raise ApiError with a webhook's refusal, or 500 when one that must be asked cannot be."""
    for configuration in list(store.list(kinds.WEBHOOKS)):
        for hook in configuration.get("webhooks") or ():
            if _concerned(store, hook, target, operation, obj or old or {}):
                _ask(hook, _review(target, operation, obj, old, dry_run=dry_run))


def _concerned(store: Store, hook: Obj, target: Target, operation: str, obj: Obj) -> bool:
    space = store.find(kinds.NAMESPACES, "", target.namespace) if target.namespace else None
    labels = (space or {}).get("metadata", {}).get("labels") or {}
    if space is not None and not matches_labels(hook.get("namespaceSelector") or {}, labels):
        return False
    if not matches_labels(hook.get("objectSelector") or {}, obj.get("metadata", {}).get("labels") or {}):
        return False
    wanted = (
        ("operations", operation),
        ("apiGroups", target.kind.group),
        ("apiVersions", target.kind.version),
        ("resources", target.resource),
    )
    return any(
        all(value in (rule.get(key) or ()) or "*" in (rule.get(key) or ()) for key, value in wanted)
        for rule in hook.get("rules") or ()
    )


def _review(target: Target, operation: str, obj: Obj | None, old: Obj | None, *, dry_run: bool) -> Obj:
    kind = {"group": target.kind.group, "version": target.kind.version, "kind": target.kind.kind}
    resource = {"group": target.kind.group, "version": target.kind.version, "resource": target.kind.plural}
    named = (obj or old or {}).get("metadata", {}).get("name", "")
    request = {
        "uid": str(uuid.uuid4()), "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
        "name": target.name or named, "namespace": target.namespace, "operation": operation, "userInfo": {},
        "object": obj, "oldObject": old, "dryRun": dry_run, "options": None,
    }  # fmt: skip
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def _ask(hook: Obj, review: Obj) -> None:
    name = hook["name"]
    try:
        answer = _call(hook, review)["response"]
        allowed = bool(answer["allowed"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        if hook.get("failurePolicy") == "Ignore":
            return
        said = f'failed calling webhook "{name}": {error}'
        details = {"causes": [{"message": said}]}
        raise ApiError(500, "InternalError", f"Internal error occurred: {said}", details) from error
    if not allowed:
        status = answer.get("status") or {}
        text = status.get("message") or status.get("reason") or ""
        said = f'admission webhook "{name}" denied the request' + (f": {text}" if text else " without explanation")
        raise ApiError(int(status.get("code") or 400), str(status.get("reason") or ""), said, status.get("details"))


def _call(hook: Obj, review: Obj) -> Obj:
    client = hook["clientConfig"]
    url = str(client.get("url") or "")
    if not url.startswith("https://"):
        raise ValueError("the practice cluster reaches webhooks by https:// URLs only, not through Services")
    trusted = ssl.create_default_context(cadata=base64.b64decode(client.get("caBundle") or "").decode())
    asked = urllib.request.Request(url, json.dumps(review).encode(), {"Content-Type": "application/json"})  # noqa: S310  # https, checked above
    with urllib.request.urlopen(asked, timeout=float(hook.get("timeoutSeconds") or 10), context=trusted) as answer:  # noqa: S310
        found: Obj = json.loads(answer.read(_MOST_BYTES))
    return found
