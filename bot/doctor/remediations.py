"""Whether the clusters can keep Remediations, as the doctor sees it."""

from bot.doctor.check import Check, fail, off, ok
from bot.settings import Settings
from bot.toolbox import actors_of
from tools.remediations import problem


async def examine(settings: Settings) -> list[Check]:
    """Check in each cluster that the kind is there and that the actor may keep it."""
    if not settings.policy.remediations.enabled:
        says = "off: changes are not kept as resources of the cluster"
        return [off("remediations", says, "set remediations.enabled and apply deploy/kustomize/remediations")]
    actors = actors_of(settings)
    if not actors:
        return [off("remediations", "no actor is configured", "set TOCSIN_ACTOR_KUBECONFIG")]
    checks = []
    for name, kube in actors.by_name.items():
        title = f"remediations ({name})" if name else "remediations"
        try:
            says, remedy = await problem(kube)
        finally:
            await kube.aclose()
        checks.append(fail(title, says, remedy) if says else ok(title, "kept as resources of the cluster"))
    return checks
