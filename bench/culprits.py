"""Every drill investigated without a model: whether its culprit stands first, and whether the confidences mean what they say.

`make bench-culprits`. A practice world of its own for each scenario of drill/scenarios, over its real HTTP APIs; the same tools
and the same policy as `tocsin demo`. `DATA=folder` adds recorded incidents (as for `tocsin eval rank`) that go through the same live
ranking with their raw signals alone. Last line: `n=.. first=.. ece=.. recorded_n=.. recorded_first=.. recorded_ece=..`.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from agents.coordinator import investigate
from agents.ports import Investigation
from agents.rank import rank, weigh
from agents.rca import fuse
from agents.standing import Sighting, Standing
from bot import toolbox
from bot.eval.cases import Case
from bot.eval.read import read
from bot.eval.scores import rank_of, reliability
from bot.policy import load
from tools.jaeger import Jaeger
from tools.kube import Kube
from tools.loki import Loki
from tools.prometheus import AlertRule, Prometheus
from tools.records import Alert, Evidence, Scope, Suspect
from tools.sources import Sources

ROOT = Path(__file__).parents[1]
SETTLED_S = 2.0  # Alertmanager waits for its group before anybody hears of an alert
PATIENCE_S = 90.0


@dataclass(frozen=True)
class Result:
    """One case: the place of the culprit's service among the services (0: not there), and how sure the first one was."""

    name: str
    rank: int
    confidence: float
    first: str
    said: str


@contextmanager
def world() -> Iterator[dict[str, str]]:
    """Start a practice world; its addresses by environment variable, and its own as "url"."""
    process = subprocess.Popen(
        [sys.executable, "-m", "drill", "--port", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        told = json.loads(process.stdout.readline() if process.stdout else "")
        yield told["env"] | {"url": told["url"]}
    finally:
        process.terminate()
        process.wait(10)


@asynccontextmanager
async def sources(env: dict[str, str]) -> AsyncIterator[Sources]:
    """Open the read-only clients of one world."""
    made = Sources(
        Prometheus(env["PROMETHEUS_URL"]), Loki(env["LOKI_URL"]), Kube(env["KUBECONFIG"]),
        traces=Jaeger(env["JAEGER_URL"]),
    )  # fmt: skip
    yield made
    for each in (made.prometheus, made.loki, made.kube, made.traces):
        if each is not None:
            await each.aclose()


async def fired(prometheus: Prometheus, name: str, service: str) -> tuple[AlertRule, dict[str, str], datetime | None]:
    """Wait for the scenario's alert; raises TimeoutError when it does not fire."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for rule in await prometheus.rules():
                for alert in rule.alerts:
                    about = alert.labels.get("service") or alert.labels.get("deployment") or ""
                    if alert.state == "firing" and rule.name == name and (not about or about == service):
                        return rule, alert.labels, alert.active_at
            await asyncio.sleep(0.3)


async def drilled(name: str, scenario: dict[str, str]) -> Result:
    """Fire one scenario in a world of its own and investigate its alert."""
    with world() as env:
        async with sources(env) as given, httpx.AsyncClient(base_url=env["url"], timeout=60) as client:
            (await client.post("/drill/fire", json={"scenario": name})).raise_for_status()
            assert given.prometheus is not None
            rule, labels, since = await fired(given.prometheus, scenario["alert"], scenario["service"])
            await asyncio.sleep(SETTLED_S)
            alert = Alert(
                fingerprint="f", sender="alertmanager", name=rule.name, status="firing", labels=labels,
                service=scenario["service"], namespace=labels.get("namespace", ""), query=rule.query,
                starts_at=since or datetime.now(UTC),
            )  # fmt: skip
            found = await look(alert, given)
    services = list(dict.fromkeys(one.service for one in found.suspects))
    top = found.suspects[0] if found.suspects else None
    return Result(
        name, rank_of(scenario["culprit"], services), top.confidence if top else 0.0,
        f"{top.service}/{top.kind}" if top else "-", found.diagnosis.headline,
    )  # fmt: skip


async def look(alert: Alert, given: Sources) -> Investigation:
    """Investigate *alert* without a model and without memory."""
    tools, blind = toolbox.bound_tools(given)

    async def nobody(_seen: Evidence) -> None:
        return

    policy, problems = load(ROOT / "tocsin.example.yaml")
    assert not problems, problems
    return await investigate(
        alert, tools=tools, knowledge=None, model=None, clock=lambda: datetime.now(UTC), progress=nobody,
        limits=toolbox.limits_of(policy), services=toolbox.services_of(policy), actions=toolbox.action_specs(), blind=blind,
    )  # fmt: skip


def recorded(case: Case) -> Result:
    """Let the live ranking rank a recorded incident's raw signals."""
    incident = case.incident
    ranking = fuse.rank(incident)
    seen = {
        one.service: tuple(Sighting(sign.part, sign.what, sign.said, sign.weight, ("E1",)) for sign in one.signs)
        for one in ranking.suspects
    }
    at = datetime.fromtimestamp(incident.at, UTC)
    alert = Alert(
        fingerprint="f", sender="recorded", name="recorded", status="firing", service=incident.hurts, starts_at=at
    )
    scope = Scope(
        alert=alert, service=incident.hurts, start=at - timedelta(hours=1), logs_start=at,
        end=datetime.fromtimestamp(incident.until, UTC),
    )  # fmt: skip
    standing = Standing(
        datetime.fromtimestamp(ranking.onset, UTC), {one.service: one.score for one in ranking.suspects}, seen,
        near=frozenset(seen),
    )  # fmt: skip
    suspects: Sequence[Suspect] = rank(weigh((), scope, {}, standing))
    services = list(dict.fromkeys(one.service for one in suspects))
    top = suspects[0] if suspects else None
    return Result(
        case.name, rank_of(case.culprit, services), top.confidence if top else 0.0, top.service if top else "-", ""
    )


def report(title: str, results: Sequence[Result]) -> tuple[int, float, float]:
    """Print the calibration of *results*; return how many there are, the share with the culprit first, and the error."""
    right = [one.rank == 1 for one in results]
    error, bins = reliability([one.confidence for one in results], right)
    print(f"{title}: {sum(right)} of {len(results)} have the culprit first; calibration error {error:.3f}")
    for one in bins:
        print(f"  said {one.confidence:.2f}, right {one.right:.2f} ({one.n} cases)")
    return len(results), sum(right) / max(len(results), 1), error


def main() -> None:
    """Run the drills (all, or those named), and the recorded incidents under DATA."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    from drill.scenarios.model import load as scenarios

    results = []
    for name, scenario in scenarios().items():
        if given.names and name not in given.names:
            continue
        began = time.perf_counter()
        try:
            one = asyncio.run(drilled(name, scenario.model_dump()))
        except TimeoutError:
            one = Result(name, 0, 0.0, "-", f"its alert {scenario.alert} did not fire within {PATIENCE_S:g} s")
        results.append(one)
        took = time.perf_counter() - began
        print(
            f"{name:24} culprit {scenario.culprit:12} rank {one.rank}  {one.confidence:.2f} {one.first:32} {took:4.0f} s",
            flush=True,
        )
        print(f"  {one.said}", flush=True)
    count, first, error = report("drills", results)
    line = f"n={count} first={first:.3f} ece={error:.3f}"
    if given.data:
        cases = [recorded(case) for case in read(given.data)]
        count, first, error = report("recorded incidents", cases)
        line += f" recorded_n={count} recorded_first={first:.3f} recorded_ece={error:.3f}"
    print(line)


if __name__ == "__main__":
    main()
