"""What tocsin.yaml leaves open, as the doctor sees it."""

from bot.doctor.check import Check, ok, warn
from bot.settings import Settings


async def examine(settings: Settings) -> list[Check]:
    """Check that somebody may approve, that alerts are read from somewhere, and that nothing was misspelt."""
    policy, file = settings.policy, settings.policy_path
    checks = [ok("policy", f"{file}: {len(policy.services)} services" if file else "no tocsin.yaml: defaults")]
    uncovered = sorted(name for name in policy.services if not policy.approvers_of(name))
    if not policy.approvers.default and not any(policy.approvers.services.values()):
        says = "nobody can approve a change: approvers is empty"
        remedy = "name member ids (U...) or user groups (S...) under approvers.default in tocsin.yaml"
        checks.append(warn("policy approvers", says, remedy))
    elif uncovered:
        says = f"nobody can approve a change to {', '.join(uncovered)}"
        checks.append(warn("policy approvers", says, "add them under approvers.services, or set approvers.default"))
    if not policy.channels.watch and not settings.webhook_token:
        says = "no alert can arrive: no channel is watched and the webhook is closed"
        checks.append(warn("policy channels", says, "list channels under channels.watch, or set TOCSIN_WEBHOOK_TOKEN"))
    if settings.webhook_token and not policy.channels.default:
        says = "an alert that comes by webhook has no channel to be posted in"
        checks.append(warn("policy channels", says, "set channels.default in tocsin.yaml"))
    checks += [warn("environment", note, "correct the name, or remove the variable") for note in settings.notes]
    return checks
