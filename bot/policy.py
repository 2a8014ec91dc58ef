"""What a team decides in tocsin.yaml: channels, services, who may approve, what an investigation may cost.

bot/settings.py calls `load`; everybody else reads the frozen `Policy`. Problems are sentences that name the key, the
value and the remedy, and all of them are returned at once.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    PositiveFloat,
    PositiveInt,
    StrictBool,
    StrictStr,
    ValidationError,
)

from bot.connections import ClusterSection, Sources
from bot.policy_changes import APPROVER, Changes
from bot.policy_intake import Caps, Grouping, Maintenance, Silencing
from bot.section import Section
from bot.topology_file import read_calls

CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{2,20}")
CHANNEL_NAME = re.compile(r"[^\sA-Z#@,.<>|]{1,80}")
CLUSTER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


TARGETS = ("deployment", "pod", "job", "cronjob", "autoscaler", "claim", "configmap")


def _channel(text: str) -> str:
    name = text.strip().removeprefix("#")
    if CHANNEL_ID.fullmatch(name) or CHANNEL_NAME.fullmatch(name):
        return name
    msg = "is not a channel; write its name in lower case (alerts) or its id (C0123456789)"
    raise ValueError(msg)


def _approver(text: str) -> str:
    if APPROVER.fullmatch(text):
        return text
    msg = (
        "is not a Slack id; write a member id (U..., from the profile's menu: Copy member ID) or a user group id (S...)"
    )
    raise ValueError(msg)


def _dns_label(text: str) -> str:
    if not text or DNS_LABEL.fullmatch(text):
        return text
    msg = "is not a Kubernetes name; write lower-case letters, digits and dashes"
    raise ValueError(msg)


def _cluster_name(text: str) -> str:
    if CLUSTER_NAME.fullmatch(text):
        return text
    msg = "is not a cluster's name; write letters, digits, dots, dashes and underscores (eu1)"
    raise ValueError(msg)


Channel = Annotated[StrictStr, AfterValidator(_channel)]
Approver = Annotated[StrictStr, AfterValidator(_approver)]
ClusterName = Annotated[StrictStr, AfterValidator(_cluster_name)]
KubernetesName = Annotated[StrictStr, AfterValidator(_dns_label)]


class Channels(Section):
    """Which channels are read, and where an incident without a message of its own is posted ("" = nowhere)."""

    watch: tuple[Channel, ...] = ()
    default: Annotated[StrictStr, AfterValidator(lambda text: _channel(text) if text else text)] = ""


class Service(Section):
    """Where a service runs and what it calls; an empty deployment means the service's own name.

    A change to a *key_system* is never below HIGH.
    """

    namespace: KubernetesName = ""
    deployment: KubernetesName = ""
    channel: Channel | None = None
    key_system: bool = False
    depends_on: tuple[StrictStr, ...] = ()
    runbooks: tuple[StrictStr, ...] = ()


class Approvers(Section):
    """Who may press Approve: member ids (U...) and user group ids (S...). Nobody unless somebody is named.

    The short form of rules; those of `changes` come first (bot/authority/order.py).
    """

    default: tuple[Approver, ...] = ()
    services: dict[StrictStr, tuple[Approver, ...]] = Field(default={})


class Budgets(Section):
    """What one investigation may use, and how many run at once (*concurrent*, per process)."""

    seconds: PositiveFloat = 60.0
    model_calls: PositiveInt = 8
    model_tokens: PositiveInt = 60_000
    model_usd: PositiveFloat = 0.50
    tools: PositiveInt = 20
    concurrent: PositiveInt = 4


class ModelPrices(Section):
    """What the endpoint charges (US dollars per million tokens; 0 = not counted) and what it can hold."""

    usd_per_1m_prompt: float = Field(default=0.0, ge=0)
    usd_per_1m_completion: float = Field(default=0.0, ge=0)
    context_tokens: PositiveInt = 128_000
    timeout_seconds: PositiveFloat = 30.0


class ApprovalTimes(Section):
    """How long a proposal stays on the table, and how its effect is watched afterwards."""

    expires_minutes: PositiveFloat = 30.0
    verify_delay_seconds: float = Field(default=15.0, ge=0)
    verify_deadline_seconds: PositiveFloat = 300.0
    verify_every_seconds: PositiveFloat = 10.0


class KnowledgeFolders(Section):
    """Where runbooks are read from: a folder of Markdown files (relative to the policy file)."""

    runbooks: StrictStr = ""


class EvidenceWindows(Section):
    """How far back evidence looks, how long a tool may take, and how many characters it may return."""

    metrics_minutes: PositiveFloat = 30.0
    logs_minutes: PositiveFloat = 5.0
    deadline_seconds: PositiveFloat = 8.0
    max_chars: PositiveInt = 6000


class Audit(Section):
    """Where the end of the record is posted once a day ("" = nowhere)."""

    anchor: Annotated[StrictStr, AfterValidator(lambda text: _channel(text) if text else text)] = ""


class RemediationSection(Section):
    """Whether changes are kept as Remediations in the cluster (deploy/kustomize/remediations), too.

    *channel*: where one made by hand is shown when its service has no channel. *namespace*: of changes to the whole cluster.
    """

    enabled: StrictBool = False
    channel: Annotated[StrictStr, AfterValidator(lambda text: _channel(text) if text else text)] = ""
    namespace: KubernetesName = "tocsin"


class Policy(Section):
    """tocsin.yaml; every part has a default, so an absent file is a valid policy in which nobody may approve."""

    channels: Channels = Channels()
    services: dict[StrictStr, Service] = Field(default={})
    topology: StrictStr = ""
    approvers: Approvers = Approvers()
    changes: Changes = Changes()
    budgets: Budgets = Budgets()
    model: ModelPrices = ModelPrices()
    approval: ApprovalTimes = ApprovalTimes()
    audit: Audit = Audit()
    remediations: RemediationSection = RemediationSection()
    knowledge: KnowledgeFolders = KnowledgeFolders()
    evidence: EvidenceWindows = EvidenceWindows()
    grouping: Grouping = Grouping()
    silences: Silencing = Silencing()
    maintenance: tuple[Maintenance, ...] = ()
    caps: Caps = Caps()
    sources: Sources = Sources()
    clusters: dict[ClusterName, ClusterSection] = Field(default={})
    default_cluster: StrictStr = ""
    cluster_labels: tuple[StrictStr, ...] = ("cluster",)

    def service(self, name: str) -> Service:
        """Look up *name*; an undeclared service is a Deployment of that name in an unknown namespace."""
        declared = self.services.get(name, Service())
        return declared if declared.deployment else declared.model_copy(update={"deployment": name})

    def approvers_of(self, service: str) -> tuple[str, ...]:
        """Who may approve a change to *service*: its own list when it has one, else the default list."""
        return self.approvers.services.get(service, self.approvers.default)

    def service_of_target(self, params: Mapping[str, object]) -> str:
        """Return the service that a change with these parameters touches, "" when no policy declares one.

        A change found through one service's alert may touch another: the owners of what is changed decide. Pods, jobs and
        the like belong to the service whose name they begin with; the longest such name wins.
        """
        namespace = str(params.get("namespace") or "")
        names = [str(params[key]) for key in TARGETS if params.get(key)]
        found = ""
        for service, declared in self.services.items():
            own = declared.deployment or service
            ours = any(name == own or name.startswith(f"{own}-") for name in names)
            if ours and declared.namespace in ("", namespace) and len(service) > len(found):
                found = service
        return found

    def channel_of(self, service: str) -> str:
        """Where an incident of *service* is posted when no message of its own exists; "" when nowhere."""
        return self.service(service).channel or self.channels.default


def load(path: Path) -> tuple[Policy, list[str]]:
    """Read *path*; return the policy and every problem found (the defaults stand when there are problems)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Policy(), [f"{path} cannot be read ({error}); name a readable YAML file in TOCSIN_CONFIG"]
    try:
        content = yaml.load(text, Loader=_Strict)  # noqa: S506  # a SafeLoader that refuses repeated keys
    except (yaml.YAMLError, RecursionError) as error:
        return Policy(), [f"{path} is not YAML: {' '.join(str(error).split())}"]
    if content is None:
        return Policy(), []
    if not isinstance(content, dict):
        return Policy(), [f"{path} holds a {type(content).__name__}; write keys such as channels: and services:"]
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        return Policy(), [f"{path}: {_sentence(dict(item))}" for item in error.errors(include_url=False)]
    policy = _anchored(policy, path.parent)
    problems = [*_contradictions(policy), *read_calls(policy.topology, _Strict)[1]]
    return policy, [f"{path}: {problem}" for problem in problems]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """'did you mean "x"?' for the nearest of *known*, else the list of what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known: {', '.join(names)}" if names else "none is known"


class _Strict(yaml.SafeLoader):
    """SafeLoader keeps the last of two equal keys in silence; half a policy lost that way is a wrong policy."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode) and key.value != "<<":
                raise yaml.constructor.ConstructorError(None, None, f'"{key.value}" stands twice', key.start_mark)
            if isinstance(key, yaml.ScalarNode):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _sentence(error: dict[str, Any]) -> str:
    location = tuple(str(part) for part in error["loc"] if part != "[key]")
    where = ".".join(location)
    if error["type"] == "extra_forbidden":
        return f"{where} is unknown; {did_you_mean(location[-1], _keys(location[:-1]))}"
    given = error["input"]
    reason = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "value_error":
        return f'{where}: "{given}" {reason}'
    if error["type"] == "string_type":
        return f"{where}: {given!r} is not text; put it in quotes"
    return f"{where}: {given!r} is wrong: {reason[:1].lower()}{reason[1:]}"


def _keys(parents: tuple[str, ...]) -> list[str]:
    """List the keys that may stand below *parents*."""
    model: Any = Policy
    for parent in parents:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[parent].annotation
            if isinstance(model, UnionType):  # tuple[Section, ...] | None
                model = next(part for part in get_args(model) if part is not type(None))
        elif get_args(model):  # dict[str, Section] or tuple[Section, ...]: any name or place, then the section
            model = next(part for part in reversed(get_args(model)) if part is not ...)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _contradictions(policy: Policy) -> list[str]:
    problems = [
        f'services.{name}.depends_on: "{name}" depends on itself; remove it'
        for name, service in policy.services.items()
        if name in service.depends_on
    ]
    problems += [
        f"approvers.services.{name}: no service of that name under services; {did_you_mean(name, policy.services)}"
        for name in policy.approvers.services
        if name not in policy.services
    ]
    problems += policy.changes.contradictions()
    problems += _cluster_gaps(policy)
    times = policy.approval
    if times.verify_deadline_seconds <= times.verify_delay_seconds:
        problems.append(
            f"approval.verify_deadline_seconds: {times.verify_deadline_seconds:g} is not after "
            f"verify_delay_seconds ({times.verify_delay_seconds:g}); make it longer"
        )
    return problems


def _cluster_gaps(policy: Policy) -> list[str]:
    """Say which names of clusters are unknown or stand for two."""
    problems = []
    if policy.default_cluster and policy.default_cluster not in policy.clusters:
        problems.append(
            f'default_cluster: no cluster is called "{policy.default_cluster}"; '
            f"{did_you_mean(policy.default_cluster, policy.clusters)}"
        )
    called = [other for section in policy.clusters.values() for other in section.also_called]
    taken = [*policy.clusters, *called]
    problems += [
        f'clusters: "{name}" means two clusters; give each its own name'
        for name in sorted(set(taken))
        if taken.count(name) > 1
    ]
    return problems


def _anchored(policy: Policy, folder: Path) -> Policy:
    """Make the paths of files independent of where the process was started."""

    def anchored(path: str) -> str:
        return path and str((folder / Path(path).expanduser()).resolve())

    runbooks = anchored(policy.knowledge.runbooks)
    oncall = {name: one.model_copy(update={"file": anchored(one.file)}) for name, one in policy.changes.oncall.items()}
    changed = {
        "topology": anchored(policy.topology),
        "knowledge": policy.knowledge.model_copy(update={"runbooks": runbooks}),
        "changes": policy.changes.model_copy(update={"oncall": oncall}),
    }
    return policy.model_copy(update=changed)
