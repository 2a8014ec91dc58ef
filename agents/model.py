"""The diagnosis by a model: a LlamaIndex FunctionAgent over any OpenAI-compatible endpoint, within budgets.

Called by agents/diagnosis.py, which imports it only when a model is configured: it costs more than a second. Whatever the
endpoint does, `ask` returns: a draft diagnosis, or why there is none.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from llama_index.core.agent.workflow import AgentOutput, FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer
from llama_index.core.tools import AsyncBaseTool
from llama_index.llms.openai_like import OpenAILike
from openai import OpenAIError
from workflows.errors import WorkflowRuntimeError

from agents import check, fence, monitor, submission
from agents.budget import Budget, Stopped
from agents.gather import look
from agents.model_tools import Tool, look_schema, submit_schema
from agents.ports import ActionSpec, Clock, EvidenceTool, Limits, ModelSettings, Service
from agents.rank import Facts
from tools.records import Diagnosis, Evidence, Recalled, Scope, Suspect, Usage

PROMPT = Path(__file__).parent / "prompts" / "diagnosis.md"
SUBMIT = "submit_diagnosis"
CORRECTIONS = 2  # how often a wrong submission, or prose, is sent back
DESCRIPTION_CHARS = 160
LOOK_CHARS = 3000  # of one answer to the model; people see up to the tools' own cap
# What a broken or lying endpoint makes the client and LlamaIndex raise: transport and status errors, a body that is not
# JSON or not a completion (attribute, key and type errors inside the client), arguments that do not parse.
BROKEN = (
    OpenAIError, httpx.HTTPError, WorkflowRuntimeError, TimeoutError, ConnectionError,
    ValueError, TypeError, AttributeError, LookupError,
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What came of asking: a draft or the *reason* there is none, the evidence gathered on the way, and the cost."""

    draft: Diagnosis | None
    reason: str
    evidence: tuple[Evidence, ...]
    usage: Usage


@dataclass
class Session:
    """One conversation: what the model may look at, what it has seen and used, and what it submitted."""

    facts: Facts
    evidence: list[Evidence]
    tools: Sequence[EvidenceTool]
    services: Mapping[str, Service]
    actions: Mapping[str, ActionSpec]
    limits: Limits
    clock: Clock
    budget: Budget
    corrections: int = 0
    cut_off: bool = False
    draft: Diagnosis | None = None
    shown: dict[tuple[str, str, int, str], str] = field(default_factory=dict)

    def callables(self) -> list[Tool]:
        """Return everything the model may call."""
        looks = [
            Tool(tool.name, _short(tool.description), look_schema(tool.name), self._looker(tool)) for tool in self.tools
        ]
        schema = submit_schema({name: _params(spec) for name, spec in self.actions.items()})
        return [*looks, Tool(SUBMIT, "End with your diagnosis.", schema, self.submit, ends=True)]

    def _looker(self, tool: EvidenceTool) -> Any:
        async def answer(given: Mapping[str, Any]) -> tuple[str, bool]:
            return await self.look(tool, given)

        return answer

    async def look(self, tool: EvidenceTool, given: Mapping[str, Any]) -> tuple[str, bool]:
        """Run one tool for the model; its answer is evidence like any other."""
        scope = self._scope(given)
        if scope is None:
            return "service must be a plain service name.", True
        minutes = int((scope.end - scope.start).total_seconds() // 60)
        asked = (tool.name, scope.service, minutes, scope.query if tool.name == "alert_query" else "")
        if asked in self.shown:
            return f"Already shown as {self.shown[asked]}.", False
        if not self.budget.take_tool():
            return f"No looks are left. Call {SUBMIT} now.", True
        id_ = f"E{len(self.evidence) + 1}"
        self.shown[asked] = id_
        # The place is taken before the look is done: the model may ask for several at once.
        self.evidence.append(
            Evidence(id=id_, tool=tool.name, title="", query="", error="unfinished", started_at=scope.end)
        )
        cap = self.limits.body_chars
        seen = await look(tool, scope, id_, seconds=self.limits.tool_s, clock=self.clock, cap=cap)
        self.evidence[int(id_[1:]) - 1] = seen
        return fence.evidence_text(seen, LOOK_CHARS), False

    def _scope(self, given: Mapping[str, Any]) -> Scope | None:
        service = str(given.get("service") or self.facts.scope.service)
        if not monitor.NAME.match(service):
            return None
        try:
            minutes = max(1, min(int(given.get("minutes") or self.limits.metrics_minutes), 180))
        except (TypeError, ValueError):
            minutes = self.limits.metrics_minutes
        return monitor.window(self.facts.scope, service, minutes, str(given.get("query") or ""), self.services)

    async def submit(self, given: Mapping[str, Any]) -> tuple[str, bool]:
        """Take a submission if it can be read and something of it stands; else say what is wrong, twice at most."""
        if self.cut_off:
            self.corrections += 1
            return f"Not accepted: the arguments are not complete JSON. Be shorter and call {SUBMIT} again.", True
        try:
            draft = submission.read(given).diagnosis(self.budget.usage())
        except ValueError as error:
            self.corrections += 1
            return f"Not accepted: {error}. Correct it and call {SUBMIT} again.", True
        checked = check.check(draft, self.evidence, self.known(), self.actions)
        if draft.hypotheses and not checked.hypotheses and self.corrections < CORRECTIONS:
            self.corrections += 1
            said = " ".join(checked.notes)
            return f"Not accepted: {said} Cite evidence that says it, or submit conclusive=false.", True
        self.draft = draft
        return "Accepted.", False

    def known(self) -> set[str]:
        """Name every service that a claim could be about."""
        return {*self.services, self.facts.scope.service} - {""}


def _short(description: str) -> str:
    line = " ".join(description.strip().split("\n\n", 1)[0].split())
    return line if len(line) <= DESCRIPTION_CHARS else line[: DESCRIPTION_CHARS - 1] + "…"


def _params(spec: ActionSpec) -> str:
    names = spec.schema.get("properties")
    return ", ".join(names) if isinstance(names, Mapping) else ""


class Diagnostician(FunctionAgent):
    """A FunctionAgent that asks its budget before each call and insists on a submission."""

    session: Any

    async def take_step(
        self, ctx: Any, llm_input: list[ChatMessage], tools: Sequence[AsyncBaseTool], memory: BaseMemory
    ) -> AgentOutput:
        """Make one model call, and send prose back for a submission."""
        output = await self._step(ctx, llm_input, tools, memory)
        while not output.tool_calls:
            said = output.response.content or ""
            written = submission.read_text(said)
            if written is not None:
                self.session.draft = written.diagnosis(self.session.budget.usage())
                return output
            self.session.corrections += 1
            scratchpad = await ctx.store.get(self.scratchpad_key, default=[])
            scratchpad.append(ChatMessage(role="user", content=f"Call {SUBMIT} now; prose is not read."))
            await ctx.store.set(self.scratchpad_key, scratchpad)
            output = await self._step(ctx, llm_input, tools, memory)
        return output

    async def _step(
        self, ctx: Any, llm_input: list[ChatMessage], tools: Sequence[AsyncBaseTool], memory: BaseMemory
    ) -> AgentOutput:
        session: Session = self.session
        if session.corrections > CORRECTIONS:
            raise Stopped("it did not submit a diagnosis that could be read")
        scratchpad: list[ChatMessage] = await ctx.store.get(self.scratchpad_key, default=[])
        chars = sum(len(message.content or "") for message in (*llm_input, *scratchpad))
        if session.budget.before_call(chars):
            tools = [tool for tool in tools if tool.metadata.name == SUBMIT]
        output = await super().take_step(ctx, llm_input, tools, memory)
        session.budget.after_call(output.raw, chars)
        session.cut_off = _cut_off(output.raw)
        return output


def _cut_off(raw: Any) -> bool:
    """Tell whether a reply's tool arguments end in the middle: LlamaIndex would complete them by guessing."""
    choices = raw.get("choices") if isinstance(raw, Mapping) else None
    for choice in choices or ():
        for call in (choice.get("message") or {}).get("tool_calls") or ():
            try:
                json.loads((call.get("function") or {}).get("arguments") or "{}")
            except ValueError:
                return True
    return False


@cache
def _tls() -> ssl.SSLContext:
    """Return one TLS context for all clients: building one costs 20 ms."""
    return ssl.create_default_context()


def _words(text: str) -> list[str]:
    """Count tokens roughly: the budget counts them properly, memory only has to stay below the window."""
    return text.split()


async def ask(
    settings: ModelSettings,
    *,
    facts: Facts,
    evidence: Sequence[Evidence],
    suspects: Sequence[Suspect],
    recalled: Sequence[Recalled],
    tools: Sequence[EvidenceTool],
    services: Mapping[str, Service],
    actions: Mapping[str, ActionSpec],
    limits: Limits,
    clock: Clock,
) -> Answer:
    """Ask the model for a diagnosis; never raises for anything the endpoint does."""
    session = Session(facts, list(evidence), tools, services, actions, limits, clock, Budget(settings))
    for item in evidence:  # the first look of each tool is at the alerting service itself
        query = facts.scope.query if item.tool == "alert_query" else ""
        if not item.error:
            session.shown.setdefault((item.tool, facts.scope.service, limits.metrics_minutes, query), item.id)
    reason = ""
    try:
        await _converse(settings, session, fence.opening(facts, evidence, suspects, recalled, sorted(services.items())))
    except Stopped as stop:
        reason = str(stop)
    except TimeoutError:
        reason = f"it did not finish within {settings.budget_s:g} s"
    except BROKEN as error:
        reason = f"it failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    if session.draft is None and not reason:
        reason = "it did not submit a diagnosis"
    return Answer(session.draft, reason, tuple(session.evidence), session.budget.usage())


async def _converse(settings: ModelSettings, session: Session, opening: str) -> None:
    async with httpx.AsyncClient(verify=_tls(), timeout=settings.timeout_s) as http:
        llm = OpenAILike(
            model=settings.name,
            api_base=settings.base_url or None,
            api_key=settings.api_key.get_secret_value() or "none",
            context_window=settings.context_tokens,
            is_chat_model=True,
            is_function_calling_model=True,
            timeout=settings.timeout_s,
            max_retries=1,  # one retry by the client; LlamaIndex's own retries, of up to 20 s, start at two
            async_http_client=http,
        )
        agent = Diagnostician(
            name="diagnostician",
            system_prompt=PROMPT.read_text(),
            tools=session.callables(),
            llm=llm,
            streaming=False,
            session=session,
        )
        memory = ChatMemoryBuffer.from_defaults(token_limit=settings.context_tokens, tokenizer_fn=_words)
        most = settings.max_calls + CORRECTIONS + 1  # never the limit that bites: the budget is
        handler = agent.run(user_msg=opening, memory=memory, max_iterations=most)
        try:
            async with asyncio.timeout(settings.budget_s):
                await handler
        finally:
            if not handler.is_done():  # out of time, or this investigation itself was cancelled
                await handler.cancel_run()
