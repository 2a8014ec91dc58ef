"""Numbers and alert rules from Prometheus (and what speaks its API), over prometheus-api-client.

Used by the metric evidence plug-ins, verification and `tocsin doctor`. The client is synchronous, so each call runs in a
thread, a few at a time, and always with a timeout. It drops the server's warnings and sends a POST's query in the
URL, where long ones are refused: a small session of our own mends both.
"""

import asyncio
import json
import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt

from tools.access import Access, distrust, fit
from tools.errors import Permanent, Temporary
from tools.fetch import refused
from tools.imports import load

Floats = npt.NDArray[np.float64]
T = TypeVar("T")
AT_ONCE = 6
TYPES_KEPT_S = 300.0
MAX_BYTES = 32 * 1024 * 1024  # of one answer; 1,000 series of 1,000 points are about 25 MB
MAX_POINTS = 11_000  # Prometheus refuses a range query with more points per series
# PrometheusApiClientException carries the server's answer as "HTTP Status Code 400 (b'...')" and nothing else
_STATUS = re.compile(r"HTTP Status Code (\d{3}) \((.*)\)\Z", re.DOTALL)


@dataclass(frozen=True)
class Sample:
    """One value of one series at one moment."""

    labels: dict[str, str]
    value: float
    at: datetime


@dataclass(frozen=True)
class Series:
    """One series: *times* (Unix seconds) and *values*, equally long, in order of time."""

    labels: dict[str, str]
    times: Floats
    values: Floats


@dataclass(frozen=True)
class ActiveAlert:
    """One alert that a rule has pending or firing now."""

    labels: dict[str, str]
    state: str
    value: float
    active_at: datetime | None
    annotations: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AlertRule:
    """One alerting rule as Prometheus evaluates it; *duration_s* is its ``for``."""

    name: str
    query: str
    duration_s: float
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    alerts: tuple[ActiveAlert, ...] = ()


class Prometheus:
    """A read-only Prometheus client; *timeout_s* bounds each request in seconds."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
        access: Access | None = None,
    ) -> None:
        self.url = url.rstrip("/")
        self._access = access or Access()
        self._headers = {**(headers or {}), **self._access.headers}
        self._timeout = timeout_s
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._types: dict[str, str] = {}
        self._types_at = float("-inf")

    async def query(self, promql: str, at: datetime | None = None) -> list[Sample]:
        """Return the instant vector (or scalar) that *promql* gives at *at* (default: the server's now)."""
        params = {"timeout": f"{self._timeout:g}s"} | ({"time": f"{at.timestamp():.3f}"} if at else {})
        rows = await self._call(promql, lambda: self._connect.custom_query(promql, params=params))
        if len(rows) == 2 and isinstance(rows[1], str):  # a scalar is one bare [time, "value"]
            rows = [{"metric": {}, "value": rows}]
        return [_read(promql, _sample, row) for row in rows]

    async def query_range(self, promql: str, start: datetime, end: datetime, step_s: float) -> list[Series]:
        """Return all series of *promql* up to *end*, one point each *step_s* seconds back to *start*.

        The last point is at *end* (rounded up to a second), not up to a step before it, as counting from *start* would
        have it. Steps above a second are whole seconds; they are widened to the server's limit of points.
        """
        last = math.ceil(end.timestamp())
        span = max(last - start.timestamp(), 0.0)
        step = max(step_s, span / (MAX_POINTS - 1), 0.001)
        step = float(math.ceil(step)) if step > 1 else step
        first = last - int(span / step) * step
        window = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
        params = {"timeout": f"{self._timeout:g}s"}
        rows = await self._call(
            promql, lambda: self._connect.custom_query_range(promql, *window, f"{step:.3f}", params=params)
        )
        return [_read(promql, _series, row) for row in rows]

    async def rules(self) -> list[AlertRule]:
        """Every alerting rule with its active alerts."""
        tried = "GET /api/v1/rules?type=alert"
        groups = await self._call(tried, self._rules)
        return [_read(tried, _rule, rule) for group in groups for rule in _list(group, "rules") if "query" in rule]

    async def names(self, selector: str, start: datetime, end: datetime, limit: int) -> list[str]:
        """Return at most *limit* names of metrics that *selector* has in [start, end)."""
        params = [("match[]", selector), *_window(start, end), ("limit", str(limit))]
        path = "/api/v1/label/__name__/values"
        rows = await self._call(f"names of {selector}", lambda: self._read_api(path, params))
        return [str(row) for row in rows[:limit]]

    async def types(self) -> dict[str, str]:
        """Return what the targets say of their metrics' types (counter, gauge, histogram, summary); kept for TYPES_KEPT_S.

        A name without its suffix stands for a histogram or summary. A metric of differing types is left out.
        """
        if time.monotonic() - self._types_at > TYPES_KEPT_S:
            tried = "GET /api/v1/metadata"
            rows = await self._call(tried, lambda: list(self._read_api("/api/v1/metadata", []).items()))
            said = {str(name): {str(each.get("type")) for each in each_said} for name, each_said in rows}
            self._types = {name: kinds.pop() for name, kinds in said.items() if len(kinds) == 1}
            self._types_at = time.monotonic()
        return self._types

    def link(self, promql: str, minutes: int = 60) -> str:
        """Return the address of Prometheus' own graph page for *promql* over the last *minutes*."""
        return f"{self.url}/graph?" + urlencode({"g0.expr": promql, "g0.tab": "0", "g0.range_input": f"{minutes}m"})

    async def aclose(self) -> None:
        """Close the connections."""
        if "_connect" in self.__dict__:
            self._connect.close()

    @cached_property
    def _connect(self) -> Any:
        from prometheus_api_client import PrometheusConnect
        from requests import Session
        from urllib3.util.retry import Retry

        more = self._access.params

        class FormSession(Session):
            def request(self, method: str, url: str, **kwargs: Any) -> Any:  # type: ignore[override,unused-ignore]
                if method == "POST" and not kwargs.get("data"):
                    kwargs["data"] = kwargs.pop("params", None)
                    kwargs["params"] = list(more)
                answer = super().request(method, url, **{**kwargs, "stream": True})
                answer._content = _body(answer)  # noqa: SLF001  # what `stream` leaves to be read, bounded
                return answer

        connect = PrometheusConnect(
            self.url,
            headers=self._headers,
            timeout=self._timeout,
            method="POST",
            session=FormSession(),
            retry=Retry(total=1, connect=1, read=0, status=0, backoff_factor=0.1),
        )
        fit(connect._session, self.url, self._access)  # noqa: SLF001
        return connect

    def _rules(self) -> list[Any]:
        return _list(self._read_api("/api/v1/rules", [("type", "alert")]), "groups")

    def _read_api(self, path: str, params: Sequence[tuple[str, str]]) -> Any:
        """Return the ``data`` of an address that the library has no call for."""
        session = self._connect._session  # noqa: SLF001
        answer = session.get(
            f"{self.url}{path}", params=[*params, *self._access.params], headers=self._headers, timeout=self._timeout,
            verify=session.verify, cert=session.cert,
        )  # fmt: skip
        if answer.status_code != 200:
            raise refused(answer.status_code, answer.content, f"Prometheus {self.url}{path}")
        return answer.json().get("data")

    async def _call(self, tried: str, call: Callable[[], Any]) -> list[Any]:
        async with self._slots:
            rows = await asyncio.to_thread(self._translated, tried, call)
        if not isinstance(rows, list):
            raise Permanent(
                f"Prometheus {tried}: the answer holds {type(rows).__name__}, not a list; is it Prometheus?"
            )
        return rows

    def _translated(self, tried: str, call: Callable[[], Any]) -> Any:
        load("prometheus_api_client", "requests")
        from prometheus_api_client.exceptions import PrometheusApiClientException
        from requests.exceptions import InvalidJSONError, RequestException, Timeout

        said = f"Prometheus {tried}"
        try:
            return call()
        except PrometheusApiClientException as exc:
            status = _STATUS.search(str(exc))
            if not status:
                raise Permanent(f"{said}: {exc}") from exc
            raise refused(int(status[1]), _message(status[2]).encode(), said) from exc
        except Timeout as exc:
            raise Temporary(f"{said}: no answer within {self._timeout:g} s") from exc
        except (InvalidJSONError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise Permanent(f"{said}: the answer cannot be read ({exc}); is {self.url} a Prometheus?") from exc
        except RequestException as exc:
            raise distrust(said, exc) or Temporary(f"{said}: {type(exc).__name__}: {exc}") from exc


def _body(answer: Any) -> bytes:
    """Read an answer's body; Permanent when it is larger than MAX_BYTES, before the rest is read."""
    read = bytearray()
    for chunk in answer.iter_content(65_536):
        read += chunk
        if len(read) > MAX_BYTES:
            answer.close()
            raise Permanent(
                f"Prometheus {answer.url.partition('?')[0]}: the answer is larger than {MAX_BYTES // 2**20} MiB and was cut; "
                "ask for fewer series, a shorter window or a longer step"
            )
    return bytes(read)


def _window(start: datetime, end: datetime) -> list[tuple[str, str]]:
    return [("start", f"{start.timestamp():.3f}"), ("end", f"{end.timestamp():.3f}")]


def _message(answer: str) -> str:
    """Prometheus' own error sentence out of the client's ``b'{...}'`` representation of its answer."""
    found = re.search(r'"error":"((?:[^"\\]|\\.)*)"', answer.replace("\\\\", "\\"))
    if not found:
        return answer
    try:
        return str(json.loads(f'"{found[1]}"'))
    except ValueError:
        return found[1]


def _read(tried: str, read: Callable[[Any], T], row: Any) -> T:
    try:
        return read(row)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, OSError) as exc:
        raise Permanent(f"Prometheus {tried}: a row cannot be read ({type(exc).__name__}: {exc})") from exc


def _labels(row: Any) -> dict[str, str]:
    return {str(k): str(v) for k, v in row.items()}


def _sample(row: Any) -> Sample:
    at, value = row["value"]
    return Sample(labels=_labels(row["metric"]), value=float(value), at=datetime.fromtimestamp(float(at), UTC))


def _series(row: Any) -> Series:
    points = np.array([(float(at), float(value)) for at, value in row.get("values", [])], dtype=np.float64).reshape(
        -1, 2
    )
    return Series(labels=_labels(row["metric"]), times=points[:, 0], values=points[:, 1])


def _rule(row: Any) -> AlertRule:
    return AlertRule(
        name=str(row["name"]),
        query=str(row["query"]),
        duration_s=float(row.get("duration") or 0),
        labels=_labels(row.get("labels") or {}),
        annotations=_labels(row.get("annotations") or {}),
        alerts=tuple(_active(alert) for alert in _list(row, "alerts")),
    )


def _active(row: Any) -> ActiveAlert:
    value = row.get("value")
    return ActiveAlert(
        labels=_labels(row.get("labels") or {}),
        state=str(row.get("state", "")),
        value=float(value) if value not in (None, "") else math.nan,
        active_at=moment(row.get("activeAt")),
        annotations=_labels(row.get("annotations") or {}),
    )


def _list(holder: Any, key: str) -> list[Any]:
    rows = holder.get(key) if isinstance(holder, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def moment(text: object) -> datetime | None:
    """Return an RFC 3339 time such as ``2026-11-23T20:00:00.123456789Z``; None for anything else."""
    if not isinstance(text, str):
        return None
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        at = datetime.fromisoformat(trimmed)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
