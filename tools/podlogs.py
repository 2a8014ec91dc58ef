"""Log lines from the Kubernetes API itself, the ended container's included; for tools.evidence.logs where no log store is.

One PodLogs serves one look: the API has no end time and no search, so what it read is kept and cut here.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tools.errors import TocsinError
from tools.kube import Kube
from tools.logsource import MAX_LINE, TROUBLE, LogLine, Where
from tools.prometheus import moment
from tools.records import Scope
from tools.workloads import Workload, find, name_of

MAX_PODS = 6
TAIL_LINES = 1_500
MAX_BYTES = 1_000_000


class PodLogs:
    """The lines of the pods that *scope*'s service has now."""

    name = "Kubernetes pod logs"

    def __init__(self, kube: Kube, scope: Scope) -> None:
        self._kube, self._scope = kube, scope
        self._workload: Workload | None = None
        self._read: list[LogLine] | None = None
        self._since = 0
        self._reading = asyncio.Lock()  # both windows are asked for at once and read once

    async def find(self, where: Where, ask: Callable[[str], str]) -> list[str]:
        """Return the pods to read as one query; the pods that trouble shows on come first."""
        scope = self._scope.model_copy(update={"service": where.service, "namespace": where.namespace})
        self._workload = await find(self._kube, scope, ("pods", "replicasets"), ask)
        names = [name_of(pod) for pod in self._pods()]
        self._since = max(60, int((datetime.now(UTC) - where.start).total_seconds()) + 1)
        return [f"pods/log of {self._workload.namespace.name}/{', '.join(names)}"] if names else []

    async def lines(
        self, _query: str, start: datetime, end: datetime, limit: int, *, errors: bool = False
    ) -> list[LogLine]:
        """Return the newest *limit* lines in [start, end) of what the pods still have."""
        async with self._reading:
            if self._read is None:
                self._read = await self._all()
        chosen = [line for line in self._read if start <= line.at < end]
        return [line for line in chosen if not errors or TROUBLE.search(line.text)][-limit:]

    def link(self, _query: str, _start: datetime, _end: datetime) -> str:
        """Return "": the API server is no page for people."""
        return ""

    def _pods(self) -> list[dict[str, Any]]:
        pods = self._workload.pods if self._workload else []
        return sorted(pods, key=lambda pod: (-_restarts(pod), _ready(pod), name_of(pod)))[:MAX_PODS]

    async def _all(self) -> list[LogLine]:
        wanted = [
            (pod, status, previous)
            for pod in self._pods()
            for status in (pod.get("status") or {}).get("containerStatuses") or []
            for previous in ((False, True) if status.get("restartCount") else (False,))
        ]
        read = await asyncio.gather(*(self._one(*each) for each in wanted))
        refused = [each for each in read if isinstance(each, TocsinError)]
        if refused and len(refused) == len(read):
            raise refused[0]
        lines = [line for each in read if not isinstance(each, TocsinError) for line in each]
        return sorted(lines, key=lambda line: line.at)

    async def _one(
        self, pod: dict[str, Any], status: dict[str, Any], previous: bool
    ) -> list[LogLine] | TocsinError:  # fmt: skip
        """Read one container; a container that never started or left no log is no reason to give the others up."""
        container = str(status.get("name", ""))
        place = self._workload.namespace.name if self._workload else self._scope.namespace
        path = f"/api/v1/namespaces/{place}/pods/{name_of(pod)}/log"
        query = {
            "container": container, "timestamps": "true", "tailLines": str(TAIL_LINES), "limitBytes": str(MAX_BYTES),
            **({"previous": "true"} if previous else {"sinceSeconds": str(self._since)}),
        }  # fmt: skip
        try:
            text = await self._kube.text(path, query)
        except TocsinError as error:
            return error
        labels = {"namespace": place, "pod": name_of(pod), "container": container}
        return [line for row in text.split("\n") if (line := _line(row, labels))]


def _line(row: str, labels: dict[str, str]) -> LogLine | None:
    """Split the API's own timestamp off; None for the last, cut row."""
    stamp, _, text = row.partition(" ")
    at = moment(stamp)
    return LogLine(at.astimezone(UTC), labels, text[:MAX_LINE]) if at else None


def _restarts(pod: dict[str, Any]) -> int:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return sum(int(status.get("restartCount") or 0) for status in statuses)


def _ready(pod: dict[str, Any]) -> bool:
    return all(status.get("ready") for status in (pod.get("status") or {}).get("containerStatuses") or [])
