"""One investigation by Tocsin beside a bare LlamaIndex FunctionAgent: CPU, peak memory, prompt tokens.

`make bench-investigation`. Both talk over HTTP to the same scripted model (drill.model, 0 ms, in a process of its own) that
asks for the same five looks in two turns and submits in the third; both have the same five evidence tools, answering from
memory with the same text. Each side runs in fresh processes of its own, turn about; a process investigates a few times to
warm up and then ROUNDS times. The looks are wider than what Tocsin gathered beforehand, so
it takes ten looks where the bare agent takes five. Figures are medians; memory is the peak of the whole process, imports included.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

WARM_UP = 5
ROUNDS = 30
PAIRS = 3
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
NAMES = ("alert_query", "changes", "kubernetes", "logs", "service_metrics")
PROMPT = Path(__file__).parent.parent / "agents" / "prompts" / "diagnosis.md"
SUBMISSION = {
    "headline": "checkout fails since its rollout to shop/checkout:v2.",
    "confidence": 0.88,
    "conclusive": True,
    "hypotheses": [
        {
            "statement": "The rollout of shop/checkout:v2 made checkout fail.",
            "cause": "bad_rollout",
            "service": "checkout",
            "confidence": 0.88,
            "evidence": ["E2", "E4"],
        }
    ],
    "suggestions": [],
}


def script(minutes: int) -> list[dict[str, Any]]:
    """Return the model's three replies: three looks, two looks, the diagnosis."""
    looks = [[name, {"service": "checkout", "minutes": minutes}] for name in NAMES]
    return [{"calls": looks[:3]}, {"calls": looks[3:]}, {"calls": [["submit_diagnosis", SUBMISSION]]}]


def body(name: str) -> str:
    """Return about 1,500 characters of what such a tool answers."""
    lines = {
        "alert_query": "03:{:02d}:00 error ratio of checkout 0.{:03d}, threshold 0.05",
        "changes": "replicaset checkout-7d9f{:02d} revision {:d} image shop/checkout:v2, was shop/checkout:v1",
        "kubernetes": "pod checkout-7d9f-{:02d} Running ready 1/1 restarts {:d} on node worker-2",
        "logs": "03:{:02d}:00 ERROR column coupon_id does not exist (request {:d}) checkout",
        "service_metrics": "03:{:02d}:00 checkout rate 41/s errors 0.{:03d} p95 0.21 s memory 61 % of limit",
    }[name]
    return "\n".join(lines.format(number, 400 + number) for number in range(20))


def bare(url: str) -> Callable[[], Awaitable[object]]:
    """Return one investigation by a FunctionAgent with function tools, as its documentation builds one."""
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.tools import FunctionTool
    from llama_index.llms.openai_like import OpenAILike

    def look(name: str) -> FunctionTool:
        async def collect(service: str, minutes: int = 30) -> str:  # noqa: ARG001  # the model's arguments
            return body(name)

        return FunctionTool.from_defaults(async_fn=collect, name=name, description=f"Shows {name} of one service.")

    async def submit(
        headline: str,
        confidence: float,
        conclusive: bool,
        hypotheses: list[dict[str, Any]],
        suggestions: list[dict[str, Any]],
    ) -> str:
        return f"{headline} {confidence} {conclusive} {len(hypotheses)} {len(suggestions)}"

    end = FunctionTool.from_defaults(async_fn=submit, name="submit_diagnosis", return_direct=True)
    llm = OpenAILike(
        model="scripted", api_base=url, api_key="k", is_chat_model=True, is_function_calling_model=True, timeout=30.0,
        context_window=128_000,
    )  # fmt: skip
    tools = [*(look(name) for name in NAMES), end]
    agent = FunctionAgent(tools=tools, llm=llm, system_prompt=PROMPT.read_text(), streaming=False)

    async def run() -> object:
        return await agent.run(user_msg="HighErrorRate (critical): checkout answers too many errors.")

    return run


def tocsin(url: str) -> Callable[[], Awaitable[object]]:
    """Return one investigation by the product: gather, rank, recall, model, check."""
    from pydantic import SecretStr

    from agents.coordinator import Coordinator, warm
    from agents.ports import ActionSpec, Limits, ModelSettings, Service
    from tools.records import Alert, Evidence, Finding, Lesson, Recalled, Scalar, Scope

    warm()

    class Tool:
        def __init__(self, name: str) -> None:
            self.name, self.description = name, f"Shows {name} of one service."

        async def collect(self, scope: Scope) -> Evidence:
            kind = {"changes": "rollout", "logs": "log_template", "alert_query": "alert_value"}.get(
                self.name, "metric_shift"
            )
            at = NOW - timedelta(minutes=2)
            found = Finding(kind=kind, service=scope.service, statement=f"{self.name}: unusual", score=0.9, at=at)
            return Evidence(
                tool=self.name, title=f"{self.name} of {scope.service}", query="q", summary="unusual", body=body(self.name),
                findings=(found,), started_at=NOW,
            )  # fmt: skip

    class Shelf:
        async def recall(self, *_: object) -> list[Recalled]:
            return []

        async def keep(self, lesson: Lesson) -> None:
            raise NotImplementedError

    def validate(params: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
        return params

    schema: dict[str, object] = {"properties": {"namespace": {}, "deployment": {}}}
    coordinator = Coordinator(
        tools=[Tool(name) for name in NAMES],
        knowledge=Shelf(),
        model=ModelSettings(base_url=url, api_key=SecretStr("k"), name="scripted"),
        clock=lambda: NOW,
        limits=Limits(),
        services={"checkout": Service(namespace="shop", depends_on=("payment", "cart"))},
        actions={name: ActionSpec(name, schema, validate) for name in ("rollout_restart", "rollout_undo", "scale")},
    )
    alert = Alert(
        fingerprint="f", sender="alertmanager", name="HighErrorRate", status="firing", severity="critical", service="checkout",
        namespace="shop", annotations={"summary": "checkout answers too many errors"}, starts_at=NOW - timedelta(minutes=1),
    )  # fmt: skip

    async def progress(_: Evidence) -> None:
        pass

    async def run() -> object:
        done = await coordinator.investigate(alert, progress)
        told = done.diagnosis
        if told.by != "model" or told.usage.calls != 3 or not told.hypotheses:
            raise RuntimeError(f"not the investigation that was meant to be measured: {told}")
        return done

    return run


async def measure(run: Callable[[], Awaitable[object]], rounds: int) -> list[float]:
    """Return the CPU seconds of each of *rounds* investigations after the warm-up."""
    for _ in range(WARM_UP):
        await run()
    used = []
    for _ in range(rounds):
        before = time.process_time()
        await run()
        used.append(time.process_time() - before)
    return used


def child(side: str, url: str, rounds: int) -> None:
    """Measure one side in this process and print its figures."""
    used = asyncio.run(measure({"bare": bare, "tocsin": tocsin}[side](url), rounds))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_ms": statistics.median(used) * 1000, "rss_mb": rss}))


def spawn(side: str, url: str, rounds: int = ROUNDS) -> dict[str, float]:
    """Run `child` in a fresh process."""
    command = [sys.executable, "-m", "bench.investigation", "--side", side, "--url", url, "--rounds", str(rounds)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def prompt_tokens(replies: list[dict[str, Any]]) -> dict[str, int]:
    """Return the prompt tokens of one investigation by each side, counted in what the model was sent (cl100k, as LlamaIndex ships it)."""
    from llama_index.core.utils import get_tokenizer

    from drill.model import Reply, serving

    encode = get_tokenizer()
    counted = {}
    for side, build in (("bare", bare), ("tocsin", tocsin)):
        with serving([Reply.read(reply) for reply in replies]) as (model, url):
            asyncio.run(build(url)())  # type: ignore[arg-type]
        sent = (json.dumps([asked["messages"], asked.get("tools", [])], ensure_ascii=False) for asked in model.requests)
        counted[side] = sum(len(encode(text)) for text in sent)
    return counted


def compare(minutes: int) -> tuple[float, float, int]:
    """Measure both sides turn about; print each pair, and return the median ratios and the prompt tokens."""
    replies = script(minutes)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(replies, file)
        file.flush()
        command = [sys.executable, "-m", "drill.model", "--script", file.name]
        model = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            url = json.loads(model.stdout.readline())["url"]  # type: ignore[union-attr]
            pairs = [(spawn("bare", url), spawn("tocsin", url)) for _ in range(PAIRS)]
        finally:
            model.terminate()
            model.wait()
    for plain, ours in pairs:
        print(
            f"bare {plain['cpu_ms']:.1f} ms {plain['rss_mb']:.0f} MB   "
            f"tocsin {ours['cpu_ms']:.1f} ms {ours['rss_mb']:.0f} MB"
        )
    cpu = statistics.median(ours["cpu_ms"] / plain["cpu_ms"] for plain, ours in pairs)
    rss = statistics.median(ours["rss_mb"] / plain["rss_mb"] for plain, ours in pairs)
    tokens = prompt_tokens(replies)
    print(f"prompt tokens: bare {tokens['bare']}, tocsin {tokens['tocsin']}")
    return cpu, rss, tokens["tocsin"]


def main() -> None:
    """Compare, or measure one side when started by `spawn`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", choices=("bare", "tocsin"))
    parser.add_argument("--url", default="")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--minutes", type=int, default=60, help="window of the looks; 30 was gathered already")
    given = parser.parse_args()
    if given.side:
        child(given.side, given.url, given.rounds)
        return
    cpu, rss, tokens = compare(given.minutes)
    print(f"cpu_ratio={cpu:.2f} rss_ratio={rss:.2f} prompt_tokens={tokens}")


if __name__ == "__main__":
    main()
