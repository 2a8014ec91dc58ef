"""How full the volumes behind the claims are, and their growth when a claim asks for more; run by the cluster.

The API does not know how full a volume is: the kubelet's metrics say it (drill/metrics/platform.py).
"""

from drill.cluster import kinds
from drill.cluster.events import Recorder
from drill.cluster.objects import Obj, clone, quantity
from drill.cluster.store import Store

USUAL = 0.31  # share of a volume in use on an ordinary day
FULL = 0.995  # a file system keeps a little for itself


class Volumes:
    """Bytes in use by claim; a claim that nobody filled has its usual share of its first size."""

    def __init__(self, store: Store, events: Recorder) -> None:
        self._store, self._events = store, events
        self._used: dict[tuple[str, str], float] = {}

    def used(self, claim: Obj) -> float:
        """Bytes in use."""
        meta = claim["metadata"]
        return self._used.setdefault((meta["namespace"], meta["name"]), USUAL * size(claim))

    def fill(self, namespace: str, name: str, share: float) -> None:
        """Let *share* (0..1) of the claim's size be in use."""
        claim = self._store.get(kinds.CLAIMS, namespace, name)
        self._used[namespace, name] = share * size(claim)

    def empty(self) -> None:
        """Every volume as on an ordinary day."""
        self._used.clear()

    def full(self, namespace: str, name: str) -> bool:
        """Whether nothing more can be written."""
        claim = self._store.find(kinds.CLAIMS, namespace, name)
        return claim is not None and self.used(claim) >= FULL * size(claim)

    def reconcile(self) -> None:
        """Grow the volumes of claims that ask for more than they have."""
        for claim in list(self._store.list(kinds.CLAIMS)):
            asked = str(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))
            if claim.get("status", {}).get("phase") == "Bound" and quantity(asked) != size(claim):
                fresh = clone(claim)
                fresh["status"]["capacity"] = {"storage": asked}
                self._store.update(kinds.CLAIMS, fresh, status=True)
                line = "MountVolume.NodeExpandVolume succeeded for volume"
                self._events.record(claim, "FileSystemResizeSuccessful", line, by="kubelet")


def size(claim: Obj) -> float:
    """Bytes that the claim's volume has."""
    return quantity(((claim.get("status") or {}).get("capacity") or {}).get("storage", "0"))
