"""`tocsin policy`: explain what the policy says to a given change, and find what is wrong with the policy itself.

Both read the policy file alone: no Slack, no cluster, no database. Exit codes are for CI.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from pydantic import Field, ValidationError

from bot.authority.actions import known
from bot.authority.change import Change, Made
from bot.authority.decide import Check, Verdict, decide, decide_broken
from bot.authority.lint import Finding, lint
from bot.authority.order import version
from bot.policy import Policy, did_you_mean
from bot.settings import policy_file
from bot.toolbox import action_specs
from tools.errors import Permanent
from tools.records import ChangeTarget, Record, Risk, Scalar

ALLOWED, DENIED = 0, 1


class Asked(Record):
    """A change to ask the policy about, as flags or as a JSON file; what is left out is looked up or taken as said.

    *risk* is the action's base risk when left out; *labels* are the target's and its namespace's; *leaves* how many pods
    are sure to run meanwhile; *made* how many like it were made within the hour before; *groups* the user groups and
    on-call lists that *by* is in.
    """

    action: str
    params: dict[str, Scalar] = Field(default={})
    cluster: str = ""
    namespace: str = ""
    service: str = ""
    labels: dict[str, str] = Field(default={})
    risk: str = ""
    requester: str = ""
    by: str = ""
    groups: tuple[str, ...] = ()
    at: datetime | None = None
    leaves: int | None = None
    made: int = Field(default=0, ge=0)
    break_glass: bool = False


@dataclass(frozen=True)
class Answer:
    """What `tocsin policy test --json` prints."""

    allowed: bool
    action: str
    risk: str
    service: str
    namespace: str
    cluster: str
    at: str
    policy: str
    rule: str
    approvers: Sequence[str]
    count: int
    requester_may: bool
    checks: Sequence[Check]
    by: str = ""
    by_may: bool | None = None
    why_not: Sequence[str] = field(default_factory=tuple)


def test(config: Path | None, file: Path | None, flags: Mapping[str, Any], *, as_json: bool) -> int:
    """Print what the policy says to one change; 0 allowed, 1 denied. Raises Permanent for bad input (exit code 2)."""
    path, policy, problems = policy_file(config)
    if problems:
        raise Permanent("\n".join(problems))
    asked = _asked(file, flags)
    answer = explain(policy, asked, datetime.now(UTC))
    typer.echo(json.dumps(asdict(answer), indent=2) if as_json else _told(answer, path))
    return ALLOWED if answer.allowed else DENIED


def explain(policy: Policy, asked: Asked, now: datetime) -> Answer:
    """Return what *policy* says; raise Permanent naming what is wrong with *asked*."""
    change, at = _change(policy, asked), _at(asked, now)
    if asked.break_glass:
        verdict = decide_broken(policy, change, at)
    else:
        made = [Made(at - timedelta(minutes=1), change)] * asked.made
        verdict = decide(policy, change, at, made)
    may, why = _by(asked, change, verdict)
    against = [*(check.says for check in verdict.against), *([why] if why else [])]
    return Answer(
        allowed=not against,
        action=change.action,
        risk=change.risk.name,
        service=change.about.service,
        namespace=change.about.namespace,
        cluster=change.about.cluster,
        at=at.isoformat(),
        policy=version(policy),
        rule=verdict.rule,
        approvers=verdict.approvers,
        count=verdict.count,
        requester_may=verdict.requester_may,
        checks=verdict.checks,
        by=asked.by,
        by_may=may,
        why_not=against,
    )


def find(config: Path | None, *, as_json: bool) -> int:
    """Print what is wrong with the policy; 1 when anything is."""
    path, policy, problems = policy_file(config)
    found = [Finding("unreadable", "", problem) for problem in problems] or lint(policy, known(), datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
    else:
        for one in found:
            typer.echo(f"{one.where}: {one.says}" if one.where else one.says)
        name = path or "the built-in policy (no tocsin.yaml)"
        typer.echo(f"{name}: {len(found)} findings, version {version(policy)}")
    return DENIED if found else ALLOWED


def pairs(flag: str, given: Sequence[str] | None) -> dict[str, Scalar]:
    """Read KEY=VALUE; numbers and true/false as JSON has them, anything else as text. Permanent names a pair that is none."""
    found: dict[str, Scalar] = {}
    for pair in given or ():
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise Permanent(f'{flag} "{pair}" is not KEY=VALUE')
        if flag == "--label":
            found[key] = value
        elif value.removeprefix("-").isdigit():
            found[key] = int(value)
        else:
            found[key] = {"true": True, "false": False}.get(value, value)
    return found


def _asked(file: Path | None, flags: Mapping[str, Any]) -> Asked:
    values: dict[str, Any] = {}
    if file is not None:
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Permanent(f"{file} cannot be read as JSON: {error}") from error
        if not isinstance(values, dict):
            raise Permanent(f"{file} holds no JSON object; write for example {{'action': 'scale', ...}}")
    given = {key: value for key, value in flags.items() if value or (key == "leaves" and value is not None)}
    try:
        return Asked.model_validate(values | given)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise Permanent(f"this change cannot be understood: {wrong}") from error


def _change(policy: Policy, asked: Asked) -> Change:
    kinds = known()
    if asked.action not in kinds:
        raise Permanent(f'there is no change called "{asked.action}"; {did_you_mean(asked.action, kinds)}')
    kind = kinds[asked.action]
    if asked.params:
        try:
            action_specs()[asked.action].validate(asked.params)
        except ValueError as error:
            raise Permanent(f"{asked.action} does not take these parameters: {error}") from error
    if asked.service and asked.service not in policy.services:
        raise Permanent(f'no service is called "{asked.service}"; {did_you_mean(asked.service, policy.services)}')
    risk = kind.risk
    if asked.risk:
        if asked.risk.upper() not in Risk.__members__:
            raise Permanent(f'there is no risk "{asked.risk}"; write low, medium, high or critical')
        risk = Risk[asked.risk.upper()]
    service = asked.service or policy.service_of_target(asked.params)
    namespace = asked.namespace or str(asked.params.get("namespace") or "")
    if not namespace and service and kind.namespaced:
        namespace = policy.service(service).namespace
    named = next((str(value) for key, value in asked.params.items() if key != "namespace"), "")
    about = ChangeTarget(
        cluster=asked.cluster or policy.changes.cluster or policy.default_cluster,
        namespace=namespace,
        service=service,
        labels=asked.labels,
        takes_pods=asked.leaves is not None,
        leaves=asked.leaves,
    )
    return Change(asked.action, f"{namespace}/{named}".strip("/"), about, risk, asked.requester)


def _at(asked: Asked, now: datetime) -> datetime:
    at = asked.at or now
    if at.tzinfo is None:
        raise Permanent(f"at: {at.isoformat()} names no time zone; write for example {at.isoformat()}+00:00")
    return at


def _by(asked: Asked, change: Change, verdict: Verdict) -> tuple[bool | None, str]:
    """Say whether *by* may approve it; None when nobody was named."""
    if not asked.by:
        return None, ""
    if not {asked.by, *asked.groups} & set(verdict.approvers):
        return False, f"{asked.by} is not among those who may approve"
    if not verdict.requester_may and asked.by == change.requested_by:
        return False, f"{asked.by} asked for this {change.risk.name} change, so somebody else must approve it"
    return True, ""


def _told(answer: Answer, path: Path | None) -> str:
    where = [f"{key} {value}" for key in ("service", "namespace", "cluster") if (value := getattr(answer, key))]
    said = "allowed" if answer.allowed else "denied"
    lines = [
        f"{said}: {answer.action}{' of ' if where else ''}{', '.join(where)}, {answer.risk} risk, at {answer.at}",
        *(f"  {'yes' if check.holds else 'NO '}  {check.says}" for check in answer.checks),
        *([f"  NO   {answer.why_not[-1]}"] if answer.by_may is False else []),
    ]
    if answer.approvers:
        people = "one person" if answer.count == 1 else f"{answer.count} different people"
        lines.append(f"takes {people} of {', '.join(answer.approvers)}")
    if not answer.requester_may:
        lines.append("who asked for it may not approve it")
    return "\n".join([*lines, f"policy {path or 'built in'}, version {answer.policy}"])
