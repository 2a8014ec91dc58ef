"""Writes deploy/kustomize/base/actor.yaml from the VERBS of tools/actions: ``python -m deploy.actor_role [--check]``.

A test runs the check, so that the actor's rights and the changes stay the same. Changes marked CLUSTER need rights on nodes
and on pods everywhere: they are a role of their own, which is bound apart.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import tools.actions
from tools.registry import plugins

FILE = Path(__file__).parent / "kustomize" / "base" / "actor.yaml"
Right = tuple[str, str, str]
_CORE = '""'
_HEAD = """\
# Exactly the verbs of tools/actions/*, written by `python -m deploy.actor_role`; a test compares. Bound nowhere yet: until you
# bind tocsin-actor to a namespace (kubectl apply -n shop -k deploy/kustomize/acting) no change can be made there, and until
# you bind tocsin-actor-nodes to the cluster (a ClusterRoleBinding) no node can be cordoned or drained.
"""


def rights(*, cluster: bool) -> set[Right]:
    """Return what the changes in a namespace need, or (*cluster*) those to nodes."""
    modules = plugins(tools.actions).values()
    return {verb for module in modules if getattr(module, "CLUSTER", False) is cluster for verb in module.VERBS}


def text() -> str:
    """Return the file."""
    return (
        _HEAD
        + _role("tocsin-actor", rights(cluster=False))
        + "---\n"
        + _role("tocsin-actor-nodes", rights(cluster=True))
    )


def _role(name: str, granted: Iterable[Right]) -> str:
    verbs: dict[tuple[str, str], list[str]] = {}
    for group, resource, verb in sorted(granted):
        verbs.setdefault((group, resource), []).append(verb)
    rules = "".join(
        f"  - apiGroups: [{group or _CORE}]\n    resources: [{resource}]\n    verbs: [{', '.join(words)}]\n"
        for (group, resource), words in verbs.items()
    )
    return (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n"
        f"  name: {name}\n  labels: {{app.kubernetes.io/name: tocsin}}\nrules:\n{rules}"
    )


def main() -> int:
    """Write the file, or with --check say whether it is up to date (1: it is not)."""
    if "--check" in sys.argv[1:]:
        return 0 if FILE.read_text() == text() else 1
    FILE.write_text(text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
