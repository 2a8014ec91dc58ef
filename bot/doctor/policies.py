"""What tocsin.yaml leaves open, as the doctor sees it."""

from datetime import UTC, datetime

from bot.assembly import oncalls_of
from bot.authority.actions import known
from bot.authority.lint import lint
from bot.authority.order import rules
from bot.doctor.check import Check, fail, ok, warn
from bot.settings import Settings
from tools.errors import TocsinError


async def examine(settings: Settings) -> list[Check]:
    """Check that somebody may approve, that alerts are read from somewhere, and that nothing was misspelt."""
    policy, file = settings.policy, settings.policy_path
    checks = [ok("policy", f"{file}: {len(policy.services)} services" if file else "no tocsin.yaml: defaults")]
    if not rules(policy):
        says = "nobody can approve a change: there is no rule"
        remedy = "name member ids (U...) or user groups (S...) under approvers.default or changes.rules in tocsin.yaml"
        checks.append(warn("policy approvers", says, remedy))
    else:
        found = lint(policy, known(), datetime.now(UTC))
        checks += [warn("policy lint", f"{one.where}: {one.says}", "see `tocsin policy lint`") for one in found]
    checks += await _on_call(settings)
    if not policy.channels.watch and not settings.webhook_token:
        says = "no alert can arrive: no channel is watched and the webhook is closed"
        checks.append(warn("policy channels", says, "list channels under channels.watch, or set TOCSIN_WEBHOOK_TOKEN"))
    if settings.webhook_token and not policy.channels.default:
        says = "an alert that comes by webhook has no channel to be posted in"
        checks.append(warn("policy channels", says, "set channels.default in tocsin.yaml"))
    checks += [warn("environment", note, "correct the name, or remove the variable") for note in settings.notes]
    return checks


async def _on_call(settings: Settings) -> list[Check]:
    """Ask every on-call list who is on call now."""
    oncalls = oncalls_of(settings, lambda: datetime.now(UTC))
    checks = []
    for name, source in settings.policy.changes.oncall.items():
        try:
            people = await oncalls.of(source)
        except TocsinError as error:
            checks.append(fail("policy on-call", f"{name}: {error}", "until it answers, nobody may approve as on-call"))
            continue
        if people:
            checks.append(ok("policy on-call", f"{name}: {', '.join(sorted(people))}"))
        else:
            says = f"{name}: nobody whose Slack id is known is on call now"
            checks.append(warn("policy on-call", says, "add them under people, or correct the schedule"))
    return checks
