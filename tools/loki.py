"""Log lines from Loki's HTTP API (and what speaks it); a LogSource of tools.evidence.logs; also for `tocsin doctor`."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from tools.access import Access, client
from tools.errors import Permanent
from tools.fetch import Absent, get_json
from tools.logsource import ERROR_WORDS, MAX_LINE, LogLine, Where
from tools.selectors import exactly, literal, matcher, selector

__all__ = ["LogLine", "Loki"]
SERVICE_LABELS = (
    "app", "service", "service_name", "container", "app_kubernetes_io_name", "deployment", "job", "component",
)  # fmt: skip
_ERRORS = f"|~ {literal('(?i)' + '|'.join(ERROR_WORDS))}"


class Loki:
    """A read-only Loki client; *headers* may carry ``Authorization`` and ``X-Scope-OrgID``, *timeout_s* is seconds."""

    name = "Loki"

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        explore_url: str = "",
        access: Access | None = None,
    ) -> None:
        """*explore_url*: a Grafana Explore address to link to; without it links lead to Loki's own API."""
        self.url = url.rstrip("/")
        self._explore = explore_url.rstrip("/")
        self._client = client(self.url, headers, access, timeout_s)

    async def find(self, where: Where, ask: Callable[[str], str]) -> list[str]:
        """Return the selectors under which the service has streams; all usual ones where Loki cannot tell."""
        candidates = [ask(each) for each in _candidates(where.service, where.namespace)]
        try:
            known = await self.series(candidates, where.start, where.end)
        except Absent:
            return candidates
        return [each for each in candidates if any(_matches(each, where.service, labels) for labels in known)]

    async def lines(
        self, query: str, start: datetime, end: datetime, limit: int, *, errors: bool = False
    ) -> list[LogLine]:
        """Return the newest *limit* lines of the selector *query*, oldest first; with *errors* those of trouble."""
        return await self.query_range(f"{query} {_ERRORS}" if errors else query, start, end, limit)

    async def query_range(self, logql: str, start: datetime, end: datetime, limit: int) -> list[LogLine]:
        """Return the newest *limit* lines of *logql* in [start, end), oldest first."""
        params = [("query", logql), *_window(start, end), ("limit", str(limit)), ("direction", "backward")]
        answer = await self._get("/loki/api/v1/query_range", params, logql)
        if answer.get("resultType") != "streams":
            raise Permanent(f"Loki {logql}: answered {answer.get('resultType')!r}, not log lines; write a log query")
        lines = [line for stream in answer["result"] for line in _lines(stream, logql)]
        return sorted(lines, key=lambda line: line.at)

    async def series(self, selectors: list[str], start: datetime, end: datetime) -> list[dict[str, str]]:
        """Return the label sets of all streams that any of *selectors* matches in [start, end); Absent where not offered."""
        params = [*(("match[]", s) for s in selectors), *_window(start, end)]
        tried = f"Loki series {' or '.join(selectors)}"
        found = await get_json(self._client, "/loki/api/v1/series", params, tried)
        rows = found.get("data") if isinstance(found, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Permanent(f"{tried}: the answer has no list of label sets; is {self.url} a Loki?")
        return [{str(k): str(v) for k, v in row.items()} for row in rows]

    def link(self, logql: str, start: datetime, end: datetime) -> str:
        """Where a person can open *logql*: Grafana Explore when configured, else the query's own address."""
        if not self._explore:
            query = [("query", logql), *_window(start, end), ("limit", "1000")]
            return f"{self.url}/loki/api/v1/query_range?{urlencode(query)}"
        window = {"from": str(int(start.timestamp() * 1e3)), "to": str(int(end.timestamp() * 1e3))}
        panes = {"t": {"datasource": "loki", "queries": [{"refId": "A", "expr": logql}], "range": window}}
        return f"{self._explore}/explore?{urlencode({'schemaVersion': '1', 'panes': json.dumps(panes)})}"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str, params: list[tuple[str, str]], logql: str) -> dict[str, Any]:
        answer = await get_json(self._client, path, params, f"Loki {logql}")
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, dict) or not isinstance(data.get("result"), list):
            raise Permanent(f"Loki {logql}: the answer has no data.result; is {self.url} a Loki?")
        return data


def _candidates(service: str, namespace: str) -> list[str]:
    """Return the selectors to try, the usual ones first; a pod's name last, where nothing else is on the streams."""
    where = matcher("namespace", "=", namespace) if namespace else ""
    named = [selector(where, matcher(label, "=", service)) for label in SERVICE_LABELS]
    return [*named, selector(where, matcher("pod", "=~", exactly(service) + "-[a-z0-9-]+"))]


def _matches(candidate: str, service: str, labels: dict[str, str]) -> bool:
    label = next((label for label in SERVICE_LABELS if f"{label}=" in candidate), "pod")
    value = labels.get(label, "")
    return value.startswith(f"{service}-") if label == "pod" else value == service


def _window(start: datetime, end: datetime) -> list[tuple[str, str]]:
    return [("start", str(_nanoseconds(start))), ("end", str(_nanoseconds(end)))]


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1_000


def _lines(stream: Any, logql: str) -> list[LogLine]:
    try:
        labels = {str(k): str(v) for k, v in stream["stream"].items()}
        # A third element (structured metadata) may follow the two that are read.
        return [
            LogLine(at=datetime.fromtimestamp(int(value[0]) / 1e9, UTC), labels=labels, text=str(value[1])[:MAX_LINE])
            for value in stream["values"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError) as exc:
        raise Permanent(f"Loki {logql}: a stream in the answer cannot be read ({type(exc).__name__}: {exc})") from exc
