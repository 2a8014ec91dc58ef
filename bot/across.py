"""Labels and silences where tocsin.yaml names several clusters; made by `labels_of` and `silences_of` for bot/service.py.

An alert that names its cluster is looked up there and nowhere else. One that does not is looked up in all of them, and belongs
to the one whose monitoring alone knows it. A silence counts for the clusters whose Alertmanager keeps it.
"""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from bot.admission.model import Quiet
from bot.base import Base
from bot.facts import ForeignSilences
from bot.labels import Labels
from bot.matchers import Matcher
from tools.alertmanager import Alertmanager
from tools.clusters import ONE, Clusters
from tools.errors import Permanent
from tools.records import Alert
from tools.sources import Sources

log = structlog.get_logger()


def labels_of(base: Base) -> Labels:
    """Return the lookups of one cluster, or of all that are configured."""
    policy, views = base.settings.policy, base.views
    each = {name: _labels(base, sources) for name, sources in views.by_name.items()}
    return (
        each[ONE]
        if list(each) == [ONE]
        else ClusterLabels(policy, None, None, None, clusters=views.clusters, each=each)
    )


def _labels(base: Base, sources: Sources) -> Labels:
    return Labels(base.settings.policy, sources.prometheus, sources.alertmanager, sources.kube)


@dataclass
class ClusterLabels(Labels):
    """Lookups in several clusters, each with its own deadline."""

    clusters: Clusters = field(default_factory=Clusters)
    each: Mapping[str, Labels] = field(default_factory=dict)

    async def services(self) -> Collection[str]:
        """Return the services of the policy and of all clusters."""
        found = await asyncio.gather(*(one.services() for one in self.each.values()))
        return frozenset(self.policy.services).union(*found)

    async def known(self, alert: Alert) -> Alert:
        """Return *alert* with what its cluster's monitoring knows, and with its cluster's configured name where that is known."""
        said = self.clusters.said_by(alert)
        if said:
            return await self._in(alert, said)
        found = await asyncio.gather(*(one.known(alert) for one in self.each.values()))
        knowing = [(name, seen) for name, seen in zip(self.each, found, strict=True) if seen != alert]
        if len(knowing) == 1:
            name, seen = knowing[0]
            return seen if self.clusters.said_by(seen) else seen.model_copy(update={"cluster": name})
        if knowing:
            log.warning("cluster_unknown", alert=alert.name, clusters=[name for name, _ in knowing])
        # A shared Alertmanager gives every cluster the same answer, and the label in it says which one is meant.
        same = {seen.model_dump_json() for _, seen in knowing}
        return knowing[0][1] if len(same) == 1 else alert

    async def _in(self, alert: Alert, said: str) -> Alert:
        try:
            name = self.clusters.named(said)
        except Permanent as error:
            log.warning("cluster_unknown", alert=alert.name, error=str(error))
            return alert
        return await self.each[name].known(alert.model_copy(update={"cluster": name}))


def silences_of(base: Base) -> ForeignSilences:
    """Return the silences of one Alertmanager, or of several, each for its own clusters."""
    views = base.views
    urls: dict[str, tuple[Alertmanager, list[str]]] = {}
    for name, sources in views.by_name.items():
        if sources.alertmanager is not None:
            urls.setdefault(sources.alertmanager.url, (sources.alertmanager, []))[1].append(name)
    if len(urls) <= 1:
        return ForeignSilences(next((client for client, _ in urls.values()), None))
    return ClusterSilences(
        None, each=[(ForeignSilences(client), _of(views.clusters, names)) for client, names in urls.values()]
    )


def _of(clusters: Clusters, names: Sequence[str]) -> Matcher:
    """Return the matcher for alerts of the clusters *names*, by any of their names."""
    called = [*names, *(other for other, name in clusters.also.items() if name in names)]
    called += [""] if clusters.default in names else []
    return Matcher("cluster", "=~", "|".join(re.escape(name) for name in called))


@dataclass
class ClusterSilences(ForeignSilences):
    """The silences of several Alertmanagers, each with the matcher of its clusters."""

    each: Sequence[tuple[ForeignSilences, Matcher]] = ()

    async def read(self) -> tuple[tuple[Quiet, ...], str]:
        """Return the active silences of all, and what could not be read."""
        found = await asyncio.gather(*(one.read() for one, _ in self.each))
        quiet = [
            Quiet(one.name, (*one.matchers, where), own=one.own)
            for (known, _), (_, where) in zip(found, self.each, strict=True)
            for one in known
        ]
        return tuple(quiet), "; ".join(problem for _, problem in found if problem)
