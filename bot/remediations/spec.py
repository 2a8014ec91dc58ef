"""What a Remediation asks for, read and checked, and what one of Tocsin's own looks like. Pure; bot/remediations calls it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from agents.ports import ActionSpec
from bot.policy import did_you_mean
from bot.toolbox import action_specs
from tools.records import Proposal, Scalar
from tools.remediations import API_VERSION, KIND, Obj

PREFIX = "tocsin-"
MANAGED = {"app.kubernetes.io/managed-by": "tocsin"}
OURS = ("proposalId", "digest", "target")
MAX_WHY = 500


@dataclass(frozen=True)
class Request:
    """A change that somebody asks for by a Remediation: *params* as its action takes them."""

    action: str
    params: dict[str, Scalar]
    why: str


class RefusedError(Exception):
    """The spec asks for nothing that could be proposed; the message says why and what to do."""


def request_of(obj: Obj, home: str) -> Request:
    """Read and check the spec; RefusedError names what is wrong and the remedy. *home*: where changes to nodes are asked for."""
    spec, own = obj.get("spec") or {}, str(obj["metadata"]["namespace"])
    for key in OURS:
        if spec.get(key):
            raise RefusedError(
                f"spec.{key} is written by Tocsin for changes on its record, and this one is not there; create one without it"
            )
    action, known = str(spec.get("action") or ""), action_specs()
    if action not in known:
        raise RefusedError(f'spec.action: there is no change "{action[:80]}"; {did_you_mean(action[:80], known)}')
    params = _scalars(spec.get("params") or {})
    spaced = "namespace" in _takes(known[action])
    if spaced and params.setdefault("namespace", own) != own:
        raise RefusedError(
            f"spec.params.namespace is {params['namespace']}: a Remediation changes what is in its own namespace ({own}); create it there"
        )
    if not spaced and own != home:
        raise RefusedError(
            f"{action} is about the whole cluster; create it in namespace {home or '(remediations.namespace)'}"
        )
    try:
        checked = known[action].validate(params)
    except ValueError as error:
        takes = ", ".join(_takes(known[action]))
        raise RefusedError(f"spec.params: {str(error)[:800]}; {action} takes {takes}") from error
    return Request(action, dict(checked), str(spec.get("why") or "")[:MAX_WHY])


def _takes(action: ActionSpec) -> list[str]:
    found = action.schema.get("properties")
    return list(found) if isinstance(found, dict) else []


def _scalars(params: Mapping[str, Any]) -> dict[str, Scalar]:
    if not isinstance(params, Mapping):
        raise RefusedError("spec.params is no map; write a name and a value for each")
    for key, value in params.items():
        if not isinstance(value, str | int | float | bool | None):
            raise RefusedError(f"spec.params.{key} is no single value; write text, a number, true or false")
    return dict(params)


def name_of(proposal_id: str) -> str:
    """Return what the Remediation of a proposal is called: always the same, so that one that was created is found again."""
    return f"{PREFIX}{proposal_id}"


def proposal_of(name: str) -> str:
    """Return the proposal whose Remediation has this name, "" when the name is no such one."""
    said = name.removeprefix(PREFIX)
    try:
        return said if name != said and str(UUID(said)) == said else ""
    except ValueError:
        return ""


def place_of(proposal: Proposal, home: str) -> str:
    """Return the namespace of a proposal's Remediation: that of the change, *home* for one of the whole cluster."""
    return str(proposal.params.get("namespace") or home)


def spec_of(proposal: Proposal) -> Obj:
    """Return the spec of a proposal's Remediation."""
    spec: Obj = {
        "action": proposal.action,
        "params": dict(proposal.params),
        "target": proposal.plan.target[:1000],
        "proposalId": proposal.id,
        "digest": proposal.digest,
    }
    return spec | ({"why": proposal.why[:MAX_WHY]} if proposal.why else {})


def body_of(proposal: Proposal, namespace: str) -> Obj:
    """Return the Remediation of a proposal, as it is created."""
    labels = MANAGED | {"tocsin.dev/incident": str(proposal.incident_id)}
    meta = {"name": name_of(proposal.id), "namespace": namespace, "labels": labels}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "spec": spec_of(proposal)}
