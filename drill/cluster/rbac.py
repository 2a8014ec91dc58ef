"""Who may do what in the practice cluster: two identities for Tocsin and one for the person at the keyboard.

The rules are what deploy/kustomize/base gives the reader and the actor; a test compares. Called by the API for every request.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from drill.cluster.objects import ApiError

Rule = tuple[Sequence[str], Sequence[str], Sequence[str]]
"""(verbs, API groups, resources); ``*`` is any, a subresource is ``deployments/scale``."""

_LOOK = ("get", "list", "watch")
_REVIEWS: Rule = (
    ("create",),
    ("authorization.k8s.io", "authentication.k8s.io"),
    ("selfsubjectaccessreviews", "selfsubjectreviews"),
)
READER_RULES: tuple[Rule, ...] = (
    (
        _LOOK,
        ("",),
        (
            "pods",
            "services",
            "events",
            "nodes",
            "namespaces",
            "persistentvolumeclaims",
            "resourcequotas",
            "limitranges",
        ),
    ),
    (("get",), ("",), ("pods/log", "configmaps")),
    (_LOOK, ("batch",), ("jobs", "cronjobs")),
    (_LOOK, ("apps",), ("deployments", "statefulsets", "daemonsets", "replicasets", "controllerrevisions")),
    (_LOOK, ("autoscaling",), ("horizontalpodautoscalers",)),
    (_LOOK, ("policy",), ("poddisruptionbudgets",)),
    (_LOOK, ("networking.k8s.io",), ("ingresses", "networkpolicies")),
    (_LOOK, ("discovery.k8s.io",), ("endpointslices",)),
    (_LOOK, ("cert-manager.io",), ("certificates",)),
    (_LOOK, ("argoproj.io",), ("applications",)),
    (_LOOK, ("helm.toolkit.fluxcd.io",), ("helmreleases",)),
    (_LOOK, ("kustomize.toolkit.fluxcd.io",), ("kustomizations",)),
    _REVIEWS,
)
ACTOR_RULES: tuple[Rule, ...] = (
    (("get", "patch"), ("apps",), ("deployments",)),
    (("list",), ("apps",), ("replicasets",)),
    (("get", "list", "patch"), ("autoscaling",), ("horizontalpodautoscalers",)),
    (("get", "patch"), ("batch",), ("cronjobs",)),
    (("create", "delete", "get", "list"), ("batch",), ("jobs",)),
    (("get", "patch"), ("",), ("configmaps", "persistentvolumeclaims")),
    (("delete", "get", "list"), ("",), ("pods",)),
    (("create",), ("",), ("pods/eviction",)),
    (("get", "list", "patch"), ("",), ("nodes",)),
    _REVIEWS,
)
REMEDIATION_RULES: tuple[Rule, ...] = (
    (("create", "get", "list", "watch"), ("tocsin.dev",), ("remediations",)),
    (("patch",), ("tocsin.dev",), ("remediations/status",)),
    (("create",), ("",), ("events",)),
)
"""What deploy/kustomize/remediations adds to the actor."""
ADMIN_RULES: tuple[Rule, ...] = ((("*",), ("*",), ("*",)),)


@dataclass(frozen=True)
class Identity:
    """One bearer token's holder."""

    user: str
    rules: tuple[Rule, ...]
    secrets: bool = False

    def may(self, verb: str, group: str, resource: str, subresource: str = "") -> bool:
        """Whether a rule allows it; secrets need more than a wildcard."""
        if resource == "secrets" and not self.secrets:
            return False
        full = f"{resource}/{subresource}" if subresource else resource
        return any(
            _in(verb, verbs) and _in(group, groups) and _in(full, resources) for verbs, groups, resources in self.rules
        )


@dataclass(frozen=True)
class Tokens:
    """The three bearer tokens of one practice cluster."""

    reader: str
    actor: str
    admin: str


class Identities:
    """Finds the identity behind an Authorization header."""

    def __init__(self, tokens: Tokens) -> None:
        account = "system:serviceaccount:tocsin:"
        self._by_token = {
            tokens.reader: Identity(f"{account}tocsin-reader", READER_RULES),
            tokens.actor: Identity(f"{account}tocsin-actor", ACTOR_RULES + REMEDIATION_RULES),
            tokens.admin: Identity("kubernetes-admin", ADMIN_RULES, secrets=True),
        }

    def of(self, authorization: str) -> Identity:
        """Return the identity; ApiError 401 for a missing or unknown token."""
        scheme, _, token = authorization.partition(" ")
        found = self._by_token.get(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        return found


def forbidden(who: Identity, verb: str, group: str, resource: str, namespace: str, name: str) -> ApiError:
    """403 in the API server's words; *resource* carries the subresource."""
    plain = resource.split("/", maxsplit=1)[0]
    where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    kind = f"{plain}.{group}" if group else plain
    target = f'{kind} "{name}"' if name else kind
    message = (
        f'{target} is forbidden: User "{who.user}" cannot {verb} resource "{resource}" in API group "{group}" {where}'
    )
    details = {"name": name, "group": group, "kind": plain}
    return ApiError(403, "Forbidden", message, {k: v for k, v in details.items() if v})


def _in(value: str, allowed: Sequence[str]) -> bool:
    return "*" in allowed or value in allowed
