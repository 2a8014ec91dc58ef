"""The shape of a scenario file, checked when it is read; a wrong file is an error that names it."""

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator


class ScenarioError(Exception):
    """A scenario that cannot be read, found or fired now."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Patch(_Data):
    """A strategic merge patch, made as *manager*."""

    resource: str
    namespace: str
    name: str
    body: dict[str, Any]
    manager: str = "kubectl"


class Scale(_Data):
    """A change of replicas through the scale subresource."""

    resource: str
    namespace: str
    name: str
    replicas: int
    manager: str = "kubectl"


class Create(_Data):
    """A new object, made as *manager*; its namespace is made too where there is none."""

    resource: str
    object: dict[str, Any]
    manager: str = "kubectl"


class Named(_Data):
    """One object."""

    resource: str
    namespace: str
    name: str


class Run(_Data):
    """`kubectl create job NAME --from=cronjob/CRONJOB`; a Job of that name that is there already is deleted first."""

    namespace: str
    cronjob: str
    name: str


class Disk(_Data):
    """How full the volume of a claim is, as a share of its size."""

    namespace: str
    claim: str
    share: float


class Certificate(_Data):
    """A Certificate that ends now, or that somebody renews."""

    namespace: str
    name: str
    do: Literal["expire", "renew"]


class Glitch(_Data):
    """A share of a service's requests fails for some seconds because of something outside."""

    service: str
    ratio: float
    seconds: float
    code: str
    line: str


class Load(_Data):
    """Visitors of a service relative to normal, until the drill is over."""

    service: str
    factor: float


class RuleChange(_Data):
    """One alerting rule added, or changed, as somebody edits the rule file; *rule* None takes it away."""

    alert: str
    rule: dict[str, Any] | None = None


class Step(_Data):
    """One thing that happens; exactly one field is set."""

    patch: Patch | None = None
    scale: Scale | None = None
    create: Create | None = None
    delete: Named | None = None
    run: Run | None = None
    disk: Disk | None = None
    certificate: Certificate | None = None
    glitch: Glitch | None = None
    load: Load | None = None
    rule: RuleChange | None = None

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if len(self.model_fields_set) != 1:
            message = f"a step does exactly one thing, this one {sorted(self.model_fields_set)}"
            raise ValueError(message)
        return self


class Remedy(_Data):
    """A typed change: its action and its parameters."""

    action: str
    params: dict[str, str | int]


class Scenario(_Data):
    """One drill: what it changes, which alert follows, and the truth about it.

    The truth is for evaluation alone: *cause* (the named condition) and *culprit* (the service), *right* (the typed change
    that heals, if there is one), *person* (what a person does instead, as steps), *says* (a word of that in the answer),
    *wrong* changes, and *also*: other alerts that come with it, as "alert/service". *group* sorts the page's list; *after* happens when it is over, so that it can
    be fired again.
    """

    name: str
    title: str
    group: str
    description: str
    alert: str
    service: str
    steps: tuple[Step, ...]
    cause: str
    culprit: str
    right: Remedy | None = None
    person: tuple[Step, ...] = ()
    says: str = ""
    wrong: tuple[Remedy, ...] = ()
    also: tuple[str, ...] = ()
    after: tuple[Step, ...] = ()


def load() -> dict[str, Scenario]:
    """Every scenario that ships with the drill, by name."""
    files = [f for f in resources.files("drill.scenarios").iterdir() if f.name.endswith(".yaml")]
    return {file.name.removesuffix(".yaml"): read(file) for file in sorted(files, key=lambda f: f.name)}


def read(file: Traversable) -> Scenario:
    """One file; ScenarioError when it is not a scenario."""
    try:
        return Scenario(name=file.name.removesuffix(".yaml"), **yaml.safe_load(file.read_text()))
    except (ValidationError, yaml.YAMLError, TypeError) as error:
        raise ScenarioError(f"{file.name}: {error}") from error
