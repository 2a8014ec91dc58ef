"""One check for every cluster, and once for what several clusters share; used by the doctor's parts."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from bot.connections import Cluster, Kind
from bot.doctor.check import Check
from bot.settings import Settings


async def each(
    settings: Settings, name: str, kinds: Sequence[Kind], examine: Callable[[str, Cluster], Awaitable[list[Check]]]
) -> list[Check]:
    """Run *examine* for each cluster's servers of *kinds*, under *name* and the names of the clusters that have them."""
    groups: list[tuple[list[str], Cluster]] = []
    for called, cluster in settings.clusters.items():
        own = [cluster.servers.get(kind) for kind in kinds]
        same = next((names for names, one in groups if [one.servers.get(kind) for kind in kinds] == own), None)
        if same is None:
            groups.append(([called], cluster))
        else:
            same.append(called)
    found = await asyncio.gather(*(examine(_named(name, names), cluster) for names, cluster in groups))
    return [check for checks in found for check in checks]


def _named(name: str, clusters: Sequence[str]) -> str:
    return name if clusters == [""] else f"{name} ({', '.join(clusters)})"
