"""The shape of a scenario file, checked when it is read; a wrong file is an error that names it."""

from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


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


class Step(_Data):
    """One change of the cluster; exactly one field is set."""

    patch: Patch | None = None
    scale: Scale | None = None


class Remedy(_Data):
    """A change and its target, for evaluation."""

    action: str
    namespace: str
    deployment: str
    replicas: int | None = None


class Scenario(_Data):
    """One drill: what it changes, which alert follows, and what is right and wrong to do about it."""

    name: str
    title: str
    description: str
    alert: str
    service: str
    steps: tuple[Step, ...]
    cause: str
    culprit: str
    right: Remedy
    wrong: tuple[Remedy, ...] = ()


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
