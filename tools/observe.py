"""What every evidence plug-in shares: timing, failure turned into Evidence, the cap, and redaction in one place.

Each module of tools.evidence hands its look to `observe` and returns what comes back.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tools.errors import TocsinError
from tools.records import Evidence, Finding, Scalar
from tools.redact import redact
from tools.signals import Chart, Signals
from tools.sources import Sources

MAX_QUERY_CHARS = 2_000
MAX_SUMMARY_CHARS = 400
MAX_STATEMENT_CHARS = 400


@dataclass
class Seen:
    """What a look saw, before cap and redaction; *queries* fills as they are asked, so a failure still shows them."""

    title: str
    queries: list[str] = field(default_factory=list)
    summary: str = ""
    body: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    link: str = ""
    truncated: bool = False
    signals: Signals | None = None
    chart: Chart | None = None

    def ask(self, query: str) -> str:
        """Note *query* as asked and return it."""
        if query not in self.queries:
            self.queries.append(query)
        return query


async def observe(tool: str, title: str, sources: Sources, look: Callable[[Seen], Awaitable[None]]) -> Evidence:
    """Run *look* and return Evidence, whatever happens to the source.

    Besides Tocsin's own errors, the errors of walking through data of another shape than documented become
    `Evidence.error` too: an API server's odd answer must not cost the other evidence.
    """
    seen = Seen(title)
    started_at = sources.clock()
    clock = time.perf_counter()
    error = ""
    try:
        await look(seen)
    except TocsinError as exc:
        error = str(exc)
    except (LookupError, TypeError, ValueError, AttributeError) as exc:
        error = f"the answer has another shape than documented ({type(exc).__name__}: {exc})"
    body, cut = _capped("\n".join(seen.body), sources.max_body_chars)
    return Evidence(
        tool=tool,
        title=redact(seen.title),
        query=redact(_cut("\n".join(seen.queries), MAX_QUERY_CHARS)) or "(nothing was asked)",
        summary=redact(_cut(" ".join(seen.summary.split()), MAX_SUMMARY_CHARS)),
        body=body,
        findings=tuple(_clean(finding) for finding in seen.findings),
        link=redact(seen.link),
        error=redact(_cut(error, MAX_QUERY_CHARS)),
        truncated=seen.truncated or cut,
        started_at=started_at,
        seconds=time.perf_counter() - clock,
        signals=seen.signals,
        chart=seen.chart and seen.chart.model_copy(update={"title": redact(_cut(seen.chart.title, MAX_SUMMARY_CHARS))}),
    )


def missing(tool: str, need: str, sources: Sources, setting: str) -> Evidence:
    """Evidence that says a source is not configured, and which setting to give."""
    return Evidence(
        tool=tool,
        title=tool,
        query="(nothing was asked)",
        error=f"no {need} is configured; set {setting}",
        started_at=sources.clock(),
    )


def _capped(body: str, limit: int) -> tuple[str, bool]:
    body = redact(body)
    if len(body) <= limit:
        return body, False
    kept = body[: max(0, limit - 60)].rsplit("\n", 1)[0]
    return f"{kept}\n[cut: {len(body) - len(kept)} more characters]", True


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _clean(finding: Finding) -> Finding:
    data: dict[str, Scalar] = {
        key: redact(_cut(value, MAX_STATEMENT_CHARS)) if isinstance(value, str) else value
        for key, value in finding.data.items()
    }
    statement = redact(_cut(finding.statement, MAX_STATEMENT_CHARS))
    return finding.model_copy(update={"statement": statement, "data": data, "score": round(finding.score, 3)})


def listed(items: Sequence[str], limit: int) -> str:
    """*items* joined for one line, the rest as a count."""
    shown = ", ".join(items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit} more"
