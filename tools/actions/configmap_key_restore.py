"""Put one key of a ConfigMap back to the previous value given; never a Secret, and pods may have to be restarted to see it."""

import difflib
from typing import Annotated

from pydantic import Field

from tools import targets
from tools.deployments import Name, Obj, Refused, refuse_gitops
from tools.kube import Kube
from tools.podspec import fingerprint
from tools.records import Plan, Record, Risk, Suggestion
from tools.redact import is_secret_name, redact
from tools.targets import Target

RISK = Risk.MEDIUM
VERBS = (("", "configmaps", "get"), ("", "configmaps", "patch"))
MOST = 16_000  # characters; a larger value cannot be judged on a card
Key = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]{1,253}$")]


class Params(Record):
    """Which key of which ConfigMap, and the *value* it shall have again."""

    namespace: Name
    configmap: Name
    key: Key
    value: str = Field(max_length=MOST)


async def plan(params: Params, kube: Kube) -> Plan:
    """Check that the key is there and neither value looks like a secret, and show the difference."""
    target = _target(params)
    obj = await targets.read(kube, target)
    refuse_gitops(obj)
    before = _value(params, obj)
    if before is None:
        raise Refused(f"{target.title} has no key {params.key}: there is nothing to put back")
    if before == params.value:
        raise Refused(f"{params.key} of {target.title} has that value already")
    if obj.get("immutable"):
        raise Refused(f"{target.title} is immutable")
    _refuse_secret(params, before)
    await targets.dry_run(kube, target, obj, _patch(params), "data")
    shown = difflib.unified_diff(before.splitlines(), params.value.splitlines(), "now", "then", lineterm="", n=1)
    return targets.make_plan(
        target,
        line=f"Put {params.key} of {target.full_name} back to the value given; pods read it when they start or reload",
        diff=list(shown) or [f"- {before!r}", f"+ {params.value!r}"],
        undo="Put the present value back."
        if len(before) <= MOST
        else "There is none here: the present value is too long.",
        precondition=_facts(params, obj) | ({"before": before} if len(before) <= MOST else {}),
    )


async def apply(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> str:
    """Write the key once."""

    def facts(obj: Obj) -> dict[str, str]:
        return _facts(params, obj)

    return await targets.write(kube, _target(params), plan, facts, _patch(params), proposal_id)


async def applied(params: Params, plan: Plan, kube: Kube, proposal_id: str) -> bool:  # noqa: ARG001  # the stamp tells
    """Whether this proposal's value was written."""
    return await targets.applied(kube, _target(params), proposal_id)


async def verify(params: Params, kube: Kube) -> tuple[bool | None, str]:
    """Whether the key has that value still; whether the pods have read it is not seen here."""
    if _value(params, await targets.read(kube, _target(params))) == params.value:
        return True, "the key has that value"
    return False, "somebody wrote another value in the meantime"


def undo(params: Params, plan: Plan) -> Suggestion | None:
    """Return the value that was replaced."""
    if "before" not in plan.precondition:
        return None
    fields = params.model_dump() | {"value": plan.precondition["before"]}
    return Suggestion(action="configmap_key_restore", params=fields, why="Puts the replaced value back.")


def _target(params: Params) -> Target:
    return Target("ConfigMap", "/api/v1", "configmaps", params.namespace, params.configmap)


def _value(params: Params, obj: Obj) -> str | None:
    found = (obj.get("data") or {}).get(params.key)
    return None if found is None else str(found)


def _facts(params: Params, obj: Obj) -> dict[str, str]:
    return {"uid": targets.uid_of(obj), "value": fingerprint(_value(params, obj))}


def _patch(params: Params) -> Obj:
    return {"data": {params.key: params.value}}


def _refuse_secret(params: Params, before: str) -> None:
    if is_secret_name(params.key) or redact(params.value) != params.value or redact(before) != before:
        raise Refused(
            f"{params.key} of ConfigMap {params.namespace}/{params.configmap} looks like a secret: not through here"
        )
