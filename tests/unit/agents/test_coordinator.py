"""One investigation without a model: right for the three practice cases, and honest when sources fail."""

import pytest

from agents.coordinator import investigate
from agents.ports import EvidenceTool, Investigation
from tests.unit.agents import samples
from tools.records import Alert, Evidence, Recalled


class Run:
    """Runs an investigation and keeps what was reported on the way."""

    def __init__(self) -> None:
        self.progress: list[Evidence] = []

    async def report(self, evidence: Evidence) -> None:
        self.progress.append(evidence)

    async def __call__(
        self, alert: Alert, tools: list[samples.Tool] | list[EvidenceTool], **changes: object
    ) -> Investigation:
        wired = {
            "tools": tools,
            "knowledge": samples.Shelf(),
            "model": None,
            "clock": samples.clock,
            "progress": self.report,
            "limits": samples.LIMITS,
            "services": samples.SERVICES,
            "actions": samples.ACTIONS,
        }
        return await investigate(alert, **{**wired, **changes})


@pytest.fixture
def run() -> Run:
    return Run()


async def test_bad_rollout_is_rolled_back(run: Run) -> None:
    done = await run(samples.alert("checkout"), samples.bad_rollout())
    told = done.diagnosis
    assert told.headline.startswith("checkout fails since rollout 2, 1 min before the trouble began (image")
    assert "(image checkout:v1 -> checkout:v2)" in told.headline
    assert told.conclusive
    assert 0.7 < told.confidence <= 0.9
    assert told.hypotheses[0].cause == "bad_rollout"
    assert [(each.action, each.params) for each in told.suggestions] == [
        ("rollout_undo", {"namespace": "shop", "deployment": "checkout", "to_revision": 1})
    ]
    assert done.suspects[0].service == "checkout"
    assert done.suspects[0].kind == "rollout"


async def test_oom_after_a_limit_change_is_rolled_back(run: Run) -> None:
    done = await run(samples.alert("cart", name="PodsRestarting"), samples.oom_kill())
    told = done.diagnosis
    assert told.hypotheses[0].cause == "memory_limit_lowered"
    assert told.headline.startswith(
        "cart runs out of memory since its limits changed in rollout 5, 2 min before the trouble began"
    )
    assert "memory=64Mi" in told.headline
    assert told.suggestions[0].action == "rollout_undo"
    assert told.suggestions[0].params["deployment"] == "cart"


async def test_the_alerting_service_is_not_blamed_for_its_dependency(run: Run) -> None:
    done = await run(samples.alert("checkout"), samples.dependency_down())
    told = done.diagnosis
    assert told.headline.startswith("payment has no pods: it was scaled from 2 to 0")
    assert "checkout fails because it calls payment" in told.headline
    assert told.suggestions[0].action == "scale"
    assert told.suggestions[0].params == {"namespace": "shop", "deployment": "payment", "replicas": 2}
    assert done.suspects[0].service == "payment"
    own = [each.score for each in done.suspects if each.service == "checkout"]
    assert max(own) < done.suspects[0].score / 2


async def test_a_neighbour_is_looked_at_with_the_same_tools(run: Run) -> None:
    tools = samples.dependency_down()
    done = await run(samples.alert("checkout"), tools)
    second = {tool.name: [scope.service for scope in tool.asked] for tool in tools}
    assert second["kubernetes"][:2] == ["checkout", "payment"]
    assert second["changes"][:2] == ["checkout", "payment"]
    assert second["logs"] == ["checkout", "payment"]
    assert second["alert_query"] == ["checkout"]
    assert [item.id for item in done.evidence] == [f"E{n}" for n in range(1, len(done.evidence) + 1)]


async def test_a_neighbour_already_explained_is_not_looked_at_again(run: Run) -> None:
    tools = samples.dependency_down()
    both = samples.seen("kubernetes", "checkout", *tools[2].answers["payment"].findings)
    tools[2].answers = {"checkout": both}
    await run(samples.alert("checkout"), tools)
    assert "payment" not in [scope.service for scope in tools[2].asked]


async def test_a_tool_that_followed_the_dependency_itself_is_not_asked_again(run: Run) -> None:
    tools = samples.dependency_down()
    healthy = samples.seen(
        "kubernetes", "checkout", body="Deployment shop/checkout: 2 of 2\ndepends on shop/payment: 2 of 2"
    )
    tools[2].answers = {"checkout": healthy}
    await run(samples.alert("checkout"), tools)
    assert "payment" not in [scope.service for scope in tools[2].asked]
    assert "payment" in [scope.service for scope in tools[4].asked]


async def test_ids_follow_tool_names_and_progress_carries_them(run: Run) -> None:
    done = await run(samples.alert("checkout"), list(reversed(samples.bad_rollout())))
    assert [item.tool for item in done.evidence][:5] == sorted(samples.NAMES)
    assert {item.id: item.tool for item in run.progress} == {item.id: item.tool for item in done.evidence}


async def test_failing_and_hanging_sources_become_evidence_and_blind_spots(run: Run) -> None:
    tools = samples.bad_rollout()
    by_name = {tool.name: tool for tool in tools}
    by_name["logs"].answers = {"checkout": 5.0}
    by_name["kubernetes"].answers = {"checkout": ValueError("the plug-in is broken")}
    done = await run(samples.alert("checkout"), tools, blind=["Traces are not configured (set JAEGER_URL)."])
    errors = {item.tool: item.error for item in done.evidence if item.error}
    assert errors == {"kubernetes": "ValueError: the plug-in is broken", "logs": "no answer within 0.3 s"}
    told = done.diagnosis
    assert "Could not see logs of checkout: no answer within 0.3 s" in told.blind_spots[1]
    assert "logs(shop/checkout, 02:29:30 to 03:00:00 UTC)" in told.blind_spots[1]
    assert told.blind_spots[2].startswith("Traces")
    assert told.hypotheses[0].cause == "bad_rollout"
    seeing = (await run(samples.alert("checkout"), samples.bad_rollout())).diagnosis
    assert told.confidence < seeing.confidence


async def test_everything_down_is_said_and_nothing_is_suggested(run: Run) -> None:
    broken = [samples.Tool(name, {"checkout": ConnectionError("refused")}) for name in samples.NAMES]
    told = (await run(samples.alert("checkout"), broken)).diagnosis
    assert told.headline == "checkout: nothing could be looked at, so nothing is known yet."
    assert not told.conclusive
    assert told.confidence == 0
    assert not told.suggestions
    assert len(told.blind_spots) == 5


async def test_an_alert_that_names_nothing_is_still_answered(run: Run) -> None:
    done = await run(samples.alert(labels={}, annotations={}, starts_at=None, query=""), samples.tools())
    assert done.diagnosis.headline.startswith("HighErrorRate: no cause found")


async def test_recall_asks_with_the_alert_and_the_suspects(run: Run) -> None:
    book = Recalled(id="r1", kind="runbook", title="Checkout errors", text="...", score=0.5, how="text")
    shelf = samples.Shelf(book)
    done = await run(samples.alert("checkout"), samples.bad_rollout(), knowledge=shelf)
    assert done.recalled == (book,)
    assert done.diagnosis.recalled == (book,)
    text, service, severity, limit = shelf.asked[0]
    assert text.startswith("HighErrorRate checkout")
    assert "rollout" in text
    assert (service, severity, limit) == ("checkout", "critical", 3)


async def test_a_failing_search_costs_a_note_only(run: Run) -> None:
    class Broken(samples.Shelf):
        async def recall(self, *_: object) -> list[Recalled]:
            raise ConnectionError("no database")

    told = (await run(samples.alert("checkout"), samples.bad_rollout(), knowledge=Broken())).diagnosis
    assert any("Could not search runbooks" in note and "no database" in note for note in told.notes)
    assert told.conclusive


async def test_progress_that_fails_does_not_lose_evidence(run: Run) -> None:
    async def broken(_: Evidence) -> None:
        raise ConnectionError("Slack is away")

    done = await run(samples.alert("checkout"), samples.bad_rollout(), progress=broken)
    assert done.diagnosis.conclusive


async def test_a_flood_is_capped(run: Run) -> None:
    flood = samples.seen("logs", "checkout", body="x" * 100_000)
    tools = samples.tools(logs={"checkout": flood})
    done = await run(samples.alert("checkout"), tools)
    logs = next(item for item in done.evidence if item.tool == "logs")
    assert logs.truncated
    assert len(logs.body) < samples.LIMITS.body_chars + 100


async def test_without_actions_nothing_is_suggested(run: Run) -> None:
    told = (await run(samples.alert("checkout"), samples.bad_rollout(), actions={})).diagnosis
    assert not told.suggestions
    assert any("there is no action" in note for note in told.notes)
