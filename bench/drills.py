"""`make drills`: every drill from its alert to recovery, without a model and without a person at the keyboard.

A practice world of its own for each scenario, behind its real HTTP APIs; the tools, the policy and the typed changes are those of
`tocsin demo`. The world's clock is stepped, so that a minute there takes seconds here; the seconds in the table are the world's.
The truth stands in the scenario's file and is read here alone. tests/integration/whole/test_drills.py asserts the same.

Last line: `n=.. culprit_first=.. condition=.. recovered=..`.
"""

import asyncio
import contextlib
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

import tools.actions
from agents.coordinator import investigate
from agents.ports import Investigation
from bot import toolbox
from bot.policy import load as load_policy
from drill import app, kubeconfig
from drill.cluster.rbac import Tokens
from drill.scenarios.model import Scenario, load
from drill.timeline import Timeline
from drill.world import World
from tools import run
from tools.jaeger import Jaeger
from tools.kube import Kube
from tools.loki import Loki
from tools.prometheus import Prometheus
from tools.records import Alert, Evidence, Scalar, Suggestion
from tools.registry import plugins
from tools.sources import Sources

ROOT = Path(__file__).parent.parent
TOKENS = Tokens("reader-token", "actor-token", "admin-token")
HISTORY_S = 20 * 60.0
STEP_S = 0.2
HEARD_S = 3.0  # Alertmanager's group wait, Slack and the debounce: an investigation begins this long after the alert
FIRES_S, RECOVERS_S = 30.0, 90.0


@dataclass(frozen=True)
class Result:
    """What came of one drill: what was said, and whether it is the truth; seconds are the world's."""

    name: str
    culprit: str
    cause: str
    confidence: float
    headline: str
    advice: str
    change: str
    culprit_right: bool
    cause_right: bool
    change_right: bool
    recovered: bool
    fired_s: float
    healed_s: float
    evidence: tuple[Evidence, ...] = ()

    @property
    def right(self) -> bool:
        """Everything as it should be."""
        return self.culprit_right and self.cause_right and self.change_right and self.recovered


class Practice:
    """A practice world whose clock is stepped, served on a free port, and the clients that Tocsin would have."""

    def __init__(self, folder: Path) -> None:
        self.now = float(int(time.time()))
        self.world = World(Timeline(lambda: self.now), TOKENS)
        self.world.build(HISTORY_S)
        self._folder, self._listening = folder, socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def clock(self) -> datetime:
        """Now, in the world."""
        return datetime.fromtimestamp(self.now, UTC)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[tuple[Sources, Kube]]:
        """Serve the world's APIs; yield the reader's clients and the actor's."""
        from starlette.applications import Starlette

        config = uvicorn.Config(Starlette(routes=[*app.NoSlack().routes(), *self.world.routes()]),
                                log_level="error", access_log=False, lifespan="off", timeout_graceful_shutdown=1)  # fmt: skip
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[self._listening]))
        reader = kubeconfig.write(self._folder / "reader.yaml", self.url, TOKENS.reader, "tocsin-reader")
        writer = kubeconfig.write(self._folder / "actor.yaml", self.url, TOKENS.actor, "tocsin-actor")
        sources = Sources(
            Prometheus(f"{self.url}/prometheus"), Loki(self.url), Kube(str(reader)),
            clock=self.clock, traces=Jaeger(f"{self.url}/jaeger"),
        )  # fmt: skip
        actor = Kube(str(writer))
        try:
            yield sources, actor
        finally:
            for each in (sources.prometheus, sources.loki, sources.kube, sources.traces, actor):
                if each is not None:
                    await each.aclose()  # type: ignore[attr-defined]
            server.should_exit = True
            await task

    def run(self, seconds: float) -> None:
        """Let the world go on."""
        for _ in range(round(seconds / STEP_S)):
            self.now = round(self.now + STEP_S, 3)
            self.world.step()

    def firing(self, scenario: Scenario) -> bool:
        """Whether the scenario's alert fires."""
        found = {(rule.name, alert.labels.get("service", "")) for rule, alert in self.world.rules.firing()}
        return (scenario.alert, scenario.service) in found

    def wait(self, scenario: Scenario, seconds: float, *, firing: bool) -> float:
        """Go on until the alert fires, or does not; return the seconds spent, *seconds* when it never came."""
        begin = self.now
        while self.firing(scenario) is not firing and self.now - begin < seconds:
            self.run(STEP_S)
        return round(self.now - begin, 1)

    def alert(self, scenario: Scenario) -> Alert:
        """Return the alert as Alertmanager tells of it."""
        rule, active = next((rule, alert) for rule, alert in self.world.rules.firing()
                            if (rule.name, alert.labels.get("service")) == (scenario.alert, scenario.service))  # fmt: skip
        return Alert(
            fingerprint="f", sender="alertmanager", name=rule.name, status="firing", labels=active.labels,
            service=scenario.service, namespace=active.labels.get("namespace", ""), query=rule.expr,
            annotations=active.annotations, starts_at=datetime.fromtimestamp(active.fired_at, UTC),
        )  # fmt: skip


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> object:  # type: ignore[override]
        yield


async def _nobody(_seen: Evidence) -> None:
    return


async def look(practice: Practice, sources: Sources, alert: Alert) -> Investigation:
    """Investigate *alert* as `tocsin demo` does, without a model and without memory."""
    policy, problems = load_policy(ROOT / "drill" / "tocsin.yaml")
    assert not problems, problems
    bound, blind = toolbox.bound_tools(sources)
    return await investigate(
        alert, tools=bound, knowledge=None, model=None, clock=practice.clock, progress=_nobody,
        limits=toolbox.limits_of(policy).model_copy(update={"tool_s": 60.0, "gather_s": 120.0}),
        services=toolbox.services_of(policy), actions=toolbox.action_specs(), blind=blind,
    )  # fmt: skip


async def drilled(scenario: Scenario, folder: Path) -> Result:
    """Fire, investigate, heal by what was proposed (else as the person does), and see whether it recovered."""
    practice = Practice(folder)
    async with practice.serving() as (sources, actor):
        practice.run(3)
        practice.world.drills.fire(scenario.name)
        fired = practice.wait(scenario, FIRES_S, firing=True)
        alert = practice.alert(scenario)
        practice.run(HEARD_S)
        found = await look(practice, sources, alert)
        change = found.diagnosis.suggestions[0] if found.diagnosis.suggestions else None
        if change:
            await _apply(practice, actor, change)
        else:
            practice.world.drills.apply(scenario.person)
        healed = practice.wait(scenario, RECOVERS_S, firing=False)
        practice.run(15)
        recovered = not practice.firing(scenario)
    return _judged(scenario, found, change, recovered=recovered, fired=fired, healed=healed)


async def _apply(practice: Practice, actor: Kube, change: Suggestion) -> None:
    """Plan and make one change as an approval does, and let its own check come to a verdict."""
    module = plugins(tools.actions)[change.action]
    plan, _ = await run.plan_change(actor, change.action, change.params)
    await module.apply(module.Params.model_validate(change.params), plan, actor, "P1")
    for _ in range(60):
        practice.run(1)
        if (await run.verify_change(actor, change.action, change.params))[0] is not None:
            return


def _judged(
    scenario: Scenario, found: Investigation, change: Suggestion | None, *, recovered: bool, fired: float, healed: float
) -> Result:
    said = found.diagnosis
    first = said.hypotheses[0] if said.hypotheses else None
    words = f"{said.headline} {said.advice}".lower()
    right = _same(scenario, change) if scenario.right else change is None and scenario.says in words
    return Result(
        scenario.name, first.service if first else "-", first.cause if first else "-", said.confidence, said.headline,
        said.advice, f"{change.action} {_shown(change.params)}" if change else "none",
        culprit_right=bool(first) and first is not None and first.service == scenario.culprit,
        cause_right=first is not None and first.cause == scenario.cause,
        change_right=right, recovered=recovered, fired_s=fired, healed_s=healed, evidence=found.evidence,
    )  # fmt: skip


def _same(scenario: Scenario, change: Suggestion | None) -> bool:
    """Whether *change* is the right one: its action, and every parameter that the truth names."""
    right = scenario.right
    if change is None or right is None or change.action != right.action:
        return False
    return all(str(change.params.get(key)) == str(value) for key, value in right.params.items())


def _shown(params: Mapping[str, Scalar]) -> str:
    return " ".join(f"{key}={value}" for key, value in params.items() if value not in (None, ""))


def report(results: Sequence[Result]) -> str:
    """Print the table; return the last line."""
    mark = {True: "yes", False: "NO"}
    print(
        f"{'scenario':22} {'culprit':8} {'condition':10} {'change':7} {'recovered':10} {'sure':>5} {'fired':>6} {'healed':>7}"
    )
    for one in results:
        print(
            f"{one.name:22} {mark[one.culprit_right]:8} {mark[one.cause_right]:10} {mark[one.change_right]:7} "
            f"{mark[one.recovered]:10} {one.confidence:5.2f} {one.fired_s:4.1f} s {one.healed_s:5.1f} s"
        )
        print(f"    {one.headline}")
        print(f"    change: {one.change}" + (f"; a person: {one.advice}" if one.advice else ""))
    shares = [sum(values) / max(len(results), 1) for values in (
        [one.culprit_right for one in results], [one.cause_right for one in results], [one.recovered for one in results])]  # fmt: skip
    return f"n={len(results)} culprit_first={shares[0]:.3f} condition={shares[1]:.3f} recovered={shares[2]:.3f}"


def main() -> int:
    """Run all drills, or those named; exit 1 when one is not as it should be."""
    known = load()
    results = []
    for name in sys.argv[1:] or known:
        with tempfile.TemporaryDirectory(prefix="tocsin-drills-") as folder:
            results.append(asyncio.run(drilled(known[name], Path(folder))))
    last = report(results)
    print(last)
    return 0 if all(one.right for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
