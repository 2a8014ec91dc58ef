"""What one run of the suite was told and what it counted; a pytest plug-in that ``python -m tests.cluster`` hands over."""

from dataclasses import dataclass, field
from typing import ClassVar


@dataclass
class Run:
    """*kubeconfig*: the cluster to use, "" for our own; the rest is filled in by the tests."""

    NAME: ClassVar[str] = "tocsin-cluster-run"
    kubeconfig: str
    changes: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    compared: int = 0
    same: int = 0
    notes: list[str] = field(default_factory=list)

    def line(self) -> str:
        """``changes=19 conformance=100.0%``; the share is of the requests compared."""
        share = f"{100 * self.same / self.compared:.1f}%" if self.compared else "none"
        return f"changes={len(self.changes)} conformance={share}"
