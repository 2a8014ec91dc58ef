"""Several clusters by name: which one an alert is about, the sources that show it, and the identity that may change it.

Built by bot/toolbox.py. Nothing falls back from one cluster to another: what is not known by name is refused with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.errors import Permanent
from tools.kube import Kube
from tools.records import Alert
from tools.sources import Sources

ONE = ""  # the name of the only cluster where tocsin.yaml names none
MAX_SAID = 80


@dataclass(frozen=True)
class Clusters:
    """The names; *default* is for alerts that name none, *also* other names of theirs, *labels* what an alert says it by."""

    names: tuple[str, ...] = (ONE,)
    default: str = ONE
    also: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ("cluster",)

    def said_by(self, alert: Alert) -> str:
        """Return what *alert* calls its cluster, "" when it does not say."""
        return next((alert.labels[label] for label in self.labels if alert.labels.get(label)), "") or alert.cluster

    def named(self, said: str) -> str:
        """Return the configured name of the cluster that is called *said*.

        Raises Permanent for one that is not configured, and for "" where there are several and no default.
        """
        if self.names == (ONE,):
            return ONE
        if said in self.names:
            return said
        if said in self.also:
            return self.also[said]
        known = f"tocsin.yaml's clusters are {', '.join(self.names)}"
        if said:
            raise Permanent(
                f'no cluster is called "{said[:MAX_SAID]}"; {known}: add it, or list it under its also_called'
            )
        if self.default:
            return self.default
        raise Permanent(f"the alert names no cluster (labels {', '.join(self.labels)}); {known}: set default_cluster")

    def of(self, alert: Alert) -> str:
        """Return the configured name of the alert's cluster; raises as `named`."""
        return self.named(self.said_by(alert))


@dataclass(frozen=True)
class Views:
    """What each cluster is looked at with; every name of *clusters* has its own sources."""

    clusters: Clusters
    by_name: Mapping[str, Sources]

    def of(self, said: str) -> Sources:
        """Return the sources of the cluster called *said*; raises as `Clusters.named`."""
        return self.by_name[self.clusters.named(said)]

    @property
    def main(self) -> Sources:
        """The sources of the default cluster, of the first one where none is the default."""
        return self.by_name[self.clusters.default or self.clusters.names[0]]

    @classmethod
    def one(cls, sources: Sources) -> "Views":
        """Return the views of a single cluster without a name."""
        return cls(Clusters(), {ONE: sources})


@dataclass(frozen=True)
class Actors:
    """The identities that may write, by cluster; a name without one can be looked at and not changed."""

    clusters: Clusters
    by_name: Mapping[str, Kube]

    def __bool__(self) -> bool:
        """Whether anything can be changed anywhere."""
        return bool(self.by_name)

    def of(self, name: str) -> Kube:
        """Return the identity of exactly the cluster *name*; Permanent where there is none, never another's."""
        found = self.by_name.get(name)
        if found is None:
            where = f" for cluster {name} (clusters.{name}.actor)" if name else " (TOCSIN_ACTOR_KUBECONFIG)"
            raise Permanent(f"no actor identity is configured{where}, so nothing can be changed from here")
        if found.cluster != name:
            raise Permanent(f"the identity kept for cluster {name!r} is that of {found.cluster!r}; nothing was changed")
        return found

    def for_alert(self, alert: Alert) -> Kube:
        """Return the identity of the alert's cluster; raises Permanent with the reason."""
        return self.of(self.clusters.of(alert))

    @classmethod
    def one(cls, kube: Kube | None) -> "Actors":
        """Return the actor of a single cluster without a name."""
        return cls(Clusters(), {ONE: kube} if kube is not None else {})
