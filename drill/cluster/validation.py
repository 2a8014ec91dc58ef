"""What the API server does not store: wrong types (400) and wrong values (422, every cause named); called by writes.py."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from drill.cluster import kinds, workload_checks
from drill.cluster.objects import ApiError, Kind, Obj, all_invalid, bad_option, quantity

Problem = tuple[str, str]
"""(field, what is wrong: ``Invalid value: ...``, ``Required value``, ``Forbidden: ...``, ``Unsupported value: ...``)."""

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")


def decode(kind: Kind, obj: Obj, *, patched: bool = False) -> None:
    """Raise ApiError when a value has another type than the field: 400, and 422 for what a patch (*patched*) came to."""
    wrong = next(_types(kind, obj), "")
    if wrong and patched:
        raise bad_patch(wrong)
    if wrong:
        raise ApiError(
            400, "BadRequest", f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {wrong}'
        )


def bad_patch(wrong: str) -> ApiError:
    """422 for a patch that cannot be applied, which names no object."""
    error = bad_option("", "patch", f"Invalid value: {wrong}")
    error.details.pop("group")
    return error


def _types(kind: Kind, obj: Obj) -> Iterator[str]:
    meta = obj.get("metadata") or {}
    for where, values in (("labels", meta.get("labels")), ("annotations", meta.get("annotations"))):
        yield from _texts(f"metadata.{where}", values)
    if kind in (kinds.CONFIGMAPS, kinds.SECRETS):
        yield from _texts("data", obj.get("data"))
    if kind is kinds.SECRETS:
        for key, value in (obj.get("data") or {}).items():
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, TypeError):
                yield f"illegal base64 data in data.{key}"
    spec = obj.get("spec")
    if isinstance(spec, dict):
        for key in ("replicas", "progressDeadlineSeconds", "minReplicas", "maxReplicas", "parallelism", "backoffLimit"):
            if spec.get(key) is not None and (not isinstance(spec[key], int) or isinstance(spec[key], bool)):
                yield f"spec.{key} is no integer"
        yield from _quantities(spec.get("template", obj) if kind is not kinds.PODS else obj)


def _texts(where: str, values: object) -> Iterator[str]:
    if values is None:
        return
    if not isinstance(values, dict):
        yield f"{where} is no map"
        return
    for key, value in values.items():
        if not isinstance(value, str | None):
            yield f"{where}.{key} is no string"


def _quantities(pod: object) -> Iterator[str]:
    spec = (pod.get("spec") or {}) if isinstance(pod, dict) else {}
    for container in spec.get("containers") or ():
        for part in ("limits", "requests"):
            for value in ((container.get("resources") or {}).get(part) or {}).values():
                try:
                    quantity(value)
                except ValueError:
                    yield "quantities must match the regular expression"


def check(kind: Kind, obj: Obj, old: Obj | None = None) -> None:
    """Raise ApiError 422 with every problem of the object, or of its change from *old*."""
    meta = obj["metadata"]
    name = str(meta.get("name") or "")
    problems = list(_meta(meta, old))
    if not problems or name:
        find = _CHECKS.get(kind)
        problems += find(obj, old) if find else []
    if problems:
        raise all_invalid(kind, name, problems)


def _meta(meta: Obj, old: Obj | None) -> Iterator[Problem]:
    name = str(meta.get("name") or "")
    if not name and not meta.get("generateName"):
        yield "metadata.name", "Required value: name or generateName is required"
    elif name and not _NAME.match(name):
        yield (
            "metadata.name",
            f'Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of lower case characters',
        )
    for value in (meta.get("labels") or {}).values():
        if not _LABEL.match(value or "") or len(value or "") > 63:
            yield (
                "metadata.labels",
                f'Invalid value: "{value}": a valid label must be an empty string or consist of alphanumeric characters',
            )
    if old is not None and meta.get("uid") not in (None, "", old["metadata"]["uid"]):
        for _ in range(2):  # the server says it twice
            yield "metadata.uid", f'Invalid value: "{meta["uid"]}": field is immutable'


def _config(obj: Obj, old: Obj | None) -> list[Problem]:
    if old is None or not old.get("immutable"):
        return []
    found = []
    if not obj.get("immutable"):
        found.append(("immutable", "Forbidden: field is immutable when `immutable` is set"))
    if (obj.get("data") or {}) != (old.get("data") or {}):
        found.append(("data", "Forbidden: field is immutable when `immutable` is set"))
    return found


def _claim(obj: Obj, old: Obj | None) -> list[Problem]:
    storage = ((obj["spec"].get("resources") or {}).get("requests") or {}).get("storage")
    if not storage:
        return [("spec.resources[storage]", "Required value")]
    if old is None:
        return []
    before = str(((old["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))
    bound = (old.get("status") or {}).get("phase") == "Bound"
    found = []
    if obj["spec"] != old["spec"] and not (bound and _without_size(obj) == _without_size(old)):
        found.append(("spec", "Forbidden: spec is immutable after creation except resources.requests for bound claims"))
    if quantity(storage) < quantity(before):
        found.append(("spec.resources.requests.storage", "Forbidden: field can not be less than previous value"))
    return found


def _without_size(claim: Obj) -> Obj:
    return {key: value for key, value in claim["spec"].items() if key != "resources"}


def _autoscaler(obj: Obj, old: Obj | None) -> list[Problem]:  # noqa: ARG001  # as all checks
    spec, found = obj["spec"], []
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas") or 0
    if least < 1:
        found.append(("spec.minReplicas", f"Invalid value: {least}: must be greater than or equal to 1"))
    if most < 1:
        found.append(("spec.maxReplicas", f"Invalid value: {most}: must be greater than 0"))
    if most < least:
        found.append(("spec.maxReplicas", f"Invalid value: {most}: must be greater than or equal to `minReplicas`"))
    return found


def _service(obj: Obj, old: Obj | None) -> list[Problem]:  # noqa: ARG001
    ports = obj["spec"].get("ports") or []
    if not ports and obj["spec"].get("clusterIP") != "None" and obj["spec"].get("type") != "ExternalName":
        return [("spec.ports", "Required value")]
    range_ = "must be between 1 and 65535, inclusive"
    return [
        (f"spec.ports[{at}].{field}", f"Invalid value: {port.get(field)}: {range_}")
        for at, port in enumerate(ports)
        for field in ("port", "targetPort")
        if isinstance(port.get(field), int) and not 1 <= port[field] <= 65535
    ]


def _event(obj: Obj, old: Obj | None) -> list[Problem]:  # noqa: ARG001
    about = (obj.get("involvedObject") or {}).get("namespace", "")
    if about == obj["metadata"].get("namespace") or (not about and obj["metadata"].get("namespace") == "default"):
        return []
    return [("involvedObject.namespace", f'Invalid value: "{about}": does not match event.namespace')]


def _budget(obj: Obj, old: Obj | None) -> list[Problem]:  # noqa: ARG001
    if obj["spec"].get("minAvailable") is not None and obj["spec"].get("maxUnavailable") is not None:
        return [("spec", "Invalid value: minAvailable and maxUnavailable cannot be both set")]
    return []


def _remediation(obj: Obj, _old: Obj | None) -> list[Problem]:
    """Return what the schema of deploy/kustomize/remediations asks for."""
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        return [("spec", "Required value")]
    found: list[Problem] = [(f"spec.{key}", "Required value") for key in ("action", "params") if key not in spec]
    if not isinstance(spec.get("action", ""), str):
        found.append(("spec.action", f'Invalid value: "{type(spec["action"]).__name__}": must be of type string'))
    if not isinstance(spec.get("params", {}), dict):
        found.append(("spec.params", f'Invalid value: "{type(spec["params"]).__name__}": must be of type object'))
    return found


_CHECKS: dict[Kind, Callable[[Obj, Obj | None], list[Problem]]] = {
    kinds.CONFIGMAPS: _config, kinds.CLAIMS: _claim, kinds.HPAS: _autoscaler, kinds.SERVICES: _service, kinds.EVENTS: _event,
    kinds.PDBS: _budget, kinds.DEPLOYMENTS: workload_checks.replicated, kinds.REPLICASETS: workload_checks.replicated,
    kinds.REMEDIATIONS: _remediation, kinds.PODS: workload_checks.pod, kinds.JOBS: workload_checks.job, kinds.CRONJOBS: workload_checks.cron_job,
}  # fmt: skip
