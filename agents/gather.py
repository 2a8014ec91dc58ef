"""Gathering: every evidence tool at once, each with its own deadline and output cap; a failure is evidence too.

Called by agents/coordinator.py and, for single looks, by agents/model.py.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from agents import monitor
from agents.ports import Clock, EvidenceTool, Limits, Progress, Service
from tools.records import Evidence, Scope

log = logging.getLogger("tocsin.agents.gather")

NEIGHBOUR_TOOLS = ("changes", "kubernetes", "logs", "service_metrics")
FOLLOWERS = ("changes", "kubernetes")  # these look at dependencies by themselves where the topology shows them
MAX_FINDINGS = 40
MAX_LINE = 500
T = TypeVar("T")
Leads = Callable[[Sequence[Evidence]], Awaitable[Sequence[str]]]
"""Names the neighbours whose raw signals deviate most, given what was seen so far."""


async def no_leads(_evidence: Sequence[Evidence]) -> Sequence[str]:
    """Name nobody: for callers without a ranking of raw signals."""
    return ()


async def attempt(work: Awaitable[T], seconds: float) -> T | str:
    """Await *work* for at most *seconds*; return its result, or one line that says how it failed."""
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except Exception as error:  # the gather step: one broken plug-in must not cost the other evidence
        log.warning("evidence step failed", exc_info=error)
        return f"{type(error).__name__}: {error}"[:MAX_LINE]


async def look(
    tool: EvidenceTool, scope: Scope, evidence_id: str, *, seconds: float, clock: Clock, cap: int
) -> Evidence:
    """Run one tool once and return its evidence under *evidence_id*, whatever happened; *cap* limits the body."""
    started = clock()
    seen = await attempt(tool.collect(scope), seconds)
    took = (clock() - started).total_seconds()
    if isinstance(seen, str):
        return Evidence(
            id=evidence_id,
            tool=tool.name,
            title=_title(tool, scope),
            query=_asked(tool, scope),
            error=seen,
            started_at=started,
            seconds=took,
        )
    return capped(seen.model_copy(update={"id": evidence_id, "seconds": seen.seconds or took}), cap)


def capped(evidence: Evidence, cap: int) -> Evidence:
    """Cut what is longer than a reader should get, and say that it was cut."""
    body, findings = evidence.body, evidence.findings
    if len(body) <= cap and len(findings) <= MAX_FINDINGS and len(evidence.summary) <= MAX_LINE:
        return evidence
    best = sorted(findings, key=lambda found: -found.score)[:MAX_FINDINGS]
    if len(body) > cap:
        body = body[:cap] + f"\n[cut: {len(body) - cap} more characters]"
    changes = {"body": body, "findings": tuple(best), "summary": evidence.summary[:MAX_LINE], "truncated": True}
    return evidence.model_copy(update=changes)


def _covered(evidence: Sequence[Evidence], tool: str, service: str) -> bool:
    """Tell whether *tool* has already looked at *service*, as one of the dependencies it follows by itself."""
    name = re.compile(rf"(?<![\w-]){re.escape(service)}(?![\w-])")
    return any(item.tool == tool and name.search(f"{item.summary}\n{item.body}") for item in evidence)


def _title(tool: EvidenceTool, scope: Scope) -> str:
    return f"{tool.name.replace('_', ' ')} of {scope.service or scope.alert.name}"


def _asked(tool: EvidenceTool, scope: Scope) -> str:
    """Say what was asked, for a tool that never came to say it: the scope in one line."""
    window = f"{scope.start:%H:%M:%S} to {scope.end:%H:%M:%S} UTC"
    target = f"{scope.namespace}/{scope.service}" if scope.namespace else scope.service
    return scope.query if tool.name == "alert_query" and scope.query else f"{tool.name}({target}, {window})"


async def gather(
    tools: Sequence[EvidenceTool],
    scope: Scope,
    *,
    services: Mapping[str, Service],
    clock: Clock,
    progress: Progress,
    limits: Limits,
    leads: Leads = no_leads,
) -> tuple[Evidence, ...]:
    """Look at the alert's service with all *tools*, then at suspicious neighbours; ids are stable by tool name."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.gather_s
    ordered = sorted(tools, key=lambda tool: tool.name)

    async def one(tool: EvidenceTool, where: Scope, number: int, seconds: float) -> Evidence:
        seen = await look(tool, where, f"E{number}", seconds=seconds, clock=clock, cap=limits.body_chars)
        await attempt(progress(seen), limits.tool_s)
        return seen

    first = min(limits.tool_s, limits.gather_s)
    evidence = list(await asyncio.gather(*(one(tool, scope, n, first) for n, tool in enumerate(ordered, 1))))
    near = [tool for tool in ordered if tool.name in NEIGHBOUR_TOOLS]
    asked = {scope.service}
    for _hop in range(2):  # a dependency's dependency, and no further
        left = min(limits.tool_s, deadline - loop.time())
        names = monitor.neighbours(evidence, asked, services, limits, await leads(evidence))
        if all(item.error for item in evidence) or not names or left < min(1.0, limits.tool_s / 2):
            break
        asked.update(names)
        looks = [
            (tool, monitor.beside(scope, name, services, evidence))
            for name in names
            for tool in near
            if not (tool.name in FOLLOWERS and _covered(evidence, tool.name, name))
        ]
        more = (one(tool, where, n, left) for n, (tool, where) in enumerate(looks, len(evidence) + 1))
        evidence += await asyncio.gather(*more)
    return tuple(evidence)
