"""Services from pods' names, as Kubernetes makes them. Called by the other nezha modules."""

import re
from collections.abc import Collection
from functools import lru_cache

# A ReplicaSet's hash is of 4-9 and b, c, d, f; the five letters of a pod are of Kubernetes' safe alphabet, without vowels.
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
_REPLICA = re.compile(r"-[0-9a-f]{6,10}-[a-z0-9]{5}$")
_DAEMON = re.compile(rf"-(?={_SAFE}*\d){_SAFE}{{5}}$")  # a DaemonSet's or a Job's pod; a word of five letters is none


@lru_cache(maxsize=65536)
def service_of(pod: str) -> str:
    """Return the pod's name without its namespace, the ReplicaSet's hash and its own; a StatefulSet's number stays."""
    name = pod.strip().rpartition("/")[2]
    return _REPLICA.sub("", name) if _REPLICA.search(name) else _DAEMON.sub("", name)


def resolved(service: str, known: Collection[str]) -> str:
    """Return *service* as the recordings name it: the same, else the only one that differs by case, dashes or an addition."""
    if service in known:
        return service
    plain = _plain(service)
    same = [name for name in known if _plain(name) == plain]
    if len(same) == 1:
        return same[0]
    begins = [name for name in known if name.startswith(f"{service}-") or service.startswith(f"{name}-")]
    return begins[0] if len(begins) == 1 else service


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
