"""The rules in the order in which they are tried, and the version of the policy they belong to; for bot/authority/*.

The rules of `changes.rules` come first, as they stand. Then the short form: each entry of `approvers.services` is a rule for
that service, `approvers.default` one for everything.
"""

import hashlib
import json

from bot.policy import Policy
from bot.policy_changes import Rule


def rules(policy: Policy) -> tuple[Rule, ...]:
    """Return every rule of *policy*; the first that matches a change decides it."""
    short = [
        Rule(name=f"approvers.services.{name}", services=(name,), approvers=people)
        for name, people in policy.approvers.services.items()
    ]
    if policy.approvers.default:
        short.append(Rule(name="approvers.default", approvers=policy.approvers.default))
    return (*policy.changes.rules, *short)


def version(policy: Policy) -> str:
    """Return twelve hex digits of the SHA-256 over everything that decides about changes.

    Channels, budgets and the like are not part of it: they may change while an approval is under way. Where services run
    is: it says whose a target is.
    """
    content = {
        "approvers": policy.approvers.model_dump(mode="json"),
        "changes": policy.changes.model_dump(mode="json"),
        "services": {
            name: [one.namespace, one.deployment, one.key_system] for name, one in sorted(policy.services.items())
        },
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]
