"""What is wrong with Deployments, pods, Jobs and CronJobs, field by field; called by validation.py."""

import copy
import re

from drill.cluster.objects import Obj, matches_labels, quantity

Problem = tuple[str, str]
_NEGATIVE = "must be greater than or equal to 0"
_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_FIELD = re.compile(r"^[0-9A-Za-z*/,?#L-]+$")
_SHORTHAND = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


def replicated(obj: Obj, old: Obj | None) -> list[Problem]:
    """Check a Deployment or ReplicaSet."""
    spec, found = obj["spec"], []
    template = spec.get("template") or {}
    selector, labels = spec.get("selector"), (template.get("metadata") or {}).get("labels") or {}
    found += [
        (f"spec.{key}", f"Invalid value: {spec[key]}: {_NEGATIVE}")
        for key in ("replicas", "revisionHistoryLimit", "minReadySeconds")
        if (spec.get(key) or 0) < 0
    ]
    if not selector:
        found.append(("spec.selector", "Required value"))
    if old is not None and selector != old["spec"]["selector"]:
        found.append(("spec.selector", f"Invalid value: {selector}: field is immutable"))
    if not selector or not matches_labels(selector, labels):
        found.append(
            ("spec.template.metadata.labels", f"Invalid value: {labels}: `selector` does not match template `labels`")
        )
    kind = (spec.get("strategy") or {}).get("type", "RollingUpdate")
    if kind not in ("Recreate", "RollingUpdate"):
        found.append(("spec.strategy", f'Unsupported value: "{kind}": supported values: "Recreate", "RollingUpdate"'))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline < 0:
        found.append(("spec.progressDeadlineSeconds", f"Invalid value: {deadline}: {_NEGATIVE}"))
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        found.append(
            ("spec.progressDeadlineSeconds", f"Invalid value: {deadline}: must be greater than minReadySeconds")
        )
    return found + containers(template.get("spec") or {}, "spec.template.spec")


def pod(obj: Obj, old: Obj | None) -> list[Problem]:
    """Check a pod; of one that exists little more than images may change."""
    found = containers(obj["spec"], "spec")
    if old is not None and _fixed(obj["spec"]) != _fixed(old["spec"]):
        found.append(
            ("spec", "Forbidden: pod updates may not change fields other than `spec.containers[*].image` and a few")
        )
    return found


def _fixed(spec: Obj) -> Obj:
    kept = copy.deepcopy({k: v for k, v in spec.items() if k not in ("activeDeadlineSeconds", "tolerations")})
    for container in kept.get("containers") or ():
        container.pop("image", None)
    return kept


def job(obj: Obj, old: Obj | None) -> list[Problem]:
    """Check a Job, whose template stays as it was made."""
    spec = obj["spec"]
    found = _run_to_completion(spec, "spec")
    if old is not None and spec.get("template") != old["spec"].get("template"):
        found.append(("spec.template", "Invalid value: field is immutable"))
    return found


def cron_job(obj: Obj, old: Obj | None) -> list[Problem]:  # noqa: ARG001  # as all checks
    """Check a CronJob."""
    spec = obj["spec"]
    schedule = str(spec.get("schedule") or "")
    fields = schedule.split()
    found = []
    if not schedule:
        found.append(("spec.schedule", "Required value"))
    elif schedule not in _SHORTHAND and not (len(fields) == 5 and all(map(_FIELD.match, fields))):
        found.append(("spec.schedule", f'Invalid value: "{schedule}": expected exactly 5 fields'))
    return found + _run_to_completion((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")


def _run_to_completion(spec: Obj, path: str) -> list[Problem]:
    inner = (spec.get("template") or {}).get("spec") or {}
    found = containers(inner, f"{path}.template.spec")
    if inner.get("restartPolicy") not in ("Never", "OnFailure"):
        found.append((f"{path}.template.spec.restartPolicy", 'Required value: valid values: "OnFailure", "Never"'))
    return found


def containers(spec: Obj, path: str) -> list[Problem]:
    """Check the containers of a pod's spec."""
    if not spec.get("containers"):
        return [(f"{path}.containers", "Required value")]
    found: list[Problem] = []
    seen = set()
    for index, container in enumerate(spec["containers"]):
        here, name = f"{path}.containers[{index}]", container.get("name")
        if not name:
            found.append((f"{here}.name", "Required value"))
        elif not _LABEL.match(name):
            found.append(
                (
                    f"{here}.name",
                    f'Invalid value: "{name}": a lowercase RFC 1123 label must consist of lower case characters',
                )
            )
        elif name in seen:
            found.append((f"{here}.name", f'Duplicate value: "{name}"'))
        seen.add(name)
        if not container.get("image"):
            found.append((f"{here}.image", "Required value"))
        policy = container.get("imagePullPolicy")
        if policy and policy not in ("Always", "IfNotPresent", "Never"):
            found.append(
                (
                    f"{here}.imagePullPolicy",
                    f'Unsupported value: "{policy}": supported values: "Always", "IfNotPresent", "Never"',
                )
            )
        for at, port in enumerate(container.get("ports") or ()):
            if not 1 <= int(port.get("containerPort") or 0) <= 65535:
                wrong = f"Invalid value: {port.get('containerPort')}: must be between 1 and 65535, inclusive"
                found.append((f"{here}.ports[{at}].containerPort", wrong))
        found += _resources(container.get("resources") or {}, here)
    return found


def _resources(resources: Obj, path: str) -> list[Problem]:
    limits, found = resources.get("limits") or {}, []
    for key, value in (resources.get("requests") or {}).items():
        if key in limits and quantity(value) > quantity(limits[key]):
            wrong = f'Invalid value: "{value}": must be less than or equal to {key} limit of {limits[key]}'
            found.append((f"{path}.resources.requests", wrong))
    return found
