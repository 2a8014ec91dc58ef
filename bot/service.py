"""A running Tocsin: Slack's connection, the HTTP side, the worker and the clock, wired and stopped in order.

Made by bot/compose.py. Nothing here decides anything: it connects what the other modules decide with.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import time
from typing import Self

import structlog
import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from starlette.applications import Starlette

from bot.across import labels_of, silences_of
from bot.anchor import Anchor
from bot.assembly import approvals_of
from bot.authority.change import of_proposal
from bot.authority.decide import decide
from bot.base import Base
from bot.channels import Channels, Groups
from bot.hooks import tokens_of
from bot.identity import Gate, Members, listed_by
from bot.intake import Intake
from bot.jobs import Investigate, Jobs
from bot.keep import Keep
from bot.leftovers import Leftovers
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.operations import Operations
from bot.refusals import Refusals
from bot.remediations import Remediations
from bot.schedule import scheduler
from bot.settings import Settings
from bot.silencing import Silencer
from bot.slack import SocketConnection, build_app
from bot.stream import Stream
from bot.thread import Thread
from bot.web import Doors, Part, create_app
from bot.webapi import call, open_client
from tools.errors import Permanent, Temporary, TocsinError
from tools.queue import INVESTIGATE, SLACK, WORK, Queue

log = structlog.get_logger()
EXPIRY_EVERY_S = 5.0
SWEEP_EVERY_S = 30.0
REFUSALS_EVERY_S = 5.0
LEFTOVERS_EVERY_S = 15.0
ANCHOR_EVERY_S = 60.0
COUNT_EVERY_S = 15.0
WORKERS = 8
READY_S = 2.0  # a probe gives up sooner than the database pool


@dataclass(frozen=True)
class Identity:
    """Who the bot is in which workspace, as auth.test says."""

    team: str = ""
    user: str = ""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: bot/compose.py decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Service:
    """Everything that runs; made by `opened`, run once."""

    def __init__(self, parts: Base, client: AsyncWebClient, me: Identity, investigate: Investigate) -> None:
        settings, policy = parts.settings, parts.settings.policy
        self._parts = parts
        self._channels = Channels(client, policy.channels.watch)
        self._queue = Queue(parts.db)
        self._metrics = Metrics()
        life = Lifecycle(parts.db, self._queue, parts.sources.clock, policy.approval.verify_delay_seconds)
        labels = labels_of(parts)
        thread = Thread(
            client,
            parts.db,
            parts.cache,
            deciders=lambda proposal: decide(policy, of_proposal(proposal), parts.sources.clock()).approvers,
            default_channel=policy.channels.default,
        )
        foreign = silences_of(parts)
        self._intake = Intake(life, policy, self._channels, labels, thread.say, self._metrics, foreign)
        self._approvals = approvals_of(parts, life, client, me.team, self._metrics)
        room = asyncio.Semaphore(policy.budgets.concurrent)
        self._remediations = Remediations(life, policy, self._approvals.parts.actors)
        checked = self._remediations.checked
        Jobs(
            life, self._intake, self._approvals, investigate, parts.knowledge, thread, room, self._metrics, checked
        ).register(self._queue)
        silencer = Silencer(life, policy, self._channels, Groups(client).members, me.team)
        desk = Operations(life, self._intake, self._approvals, labels, parts.knowledge, silencer)
        keep = Keep(self._intake.receive, self._metrics)
        self._refusals = Refusals(life, self._metrics)
        self._leftovers = Leftovers(life, self._metrics, self._channels.id_of, policy.channels.default)
        self._anchor = Anchor(life, policy.audit.anchor, self._channels.id_of)
        gate = Gate(Members(client, me.team), listed_by(policy, self._channels), self._refusals)
        app = build_app(
            client, settings.slack_signing_secret.get_secret_value(), desk, [gate, keep], self._refusals.note
        )
        by_socket = settings.slack_mode == "socket"
        token = settings.slack_app_token.get_secret_value()
        self._socket = SocketConnection(app, token, client) if by_socket else None
        self._stream = Stream(settings, self._intake.receive, parts.db)
        self._web = _web_server(create_app(self._doors(None if by_socket else app)))

    @classmethod
    @asynccontextmanager
    async def opened(cls, parts: Base, investigate: Investigate) -> AsyncIterator[Self]:
        """Reach Slack and wire everything; nothing is handled until `run`."""
        settings = parts.settings
        async with open_client(
            settings.slack_bot_token.get_secret_value(), settings.slack_api_url, parts.cache
        ) as client:
            yield cls(parts, client, await identify(client), investigate)

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Serve until *stop*, or until one of the parts ends by itself; then close the doors and drain the worker.

        *ready* is called once, when events can be handled.
        """
        clock = scheduler(
            {
                "expire": (EXPIRY_EVERY_S, self._approvals.expire),
                "sweep": (SWEEP_EVERY_S, self._intake.admission.sweep),
                "leftovers": (LEFTOVERS_EVERY_S, self._leftovers.look),
                "refusals": (REFUSALS_EVERY_S, self._refusals.write),
                "anchor": (ANCHOR_EVERY_S, self._anchor.tick),
                "count": (COUNT_EVERY_S, self._count_jobs),
            }
        )
        rooms = {WORK: WORKERS, SLACK: WORKERS, INVESTIGATE: self._parts.settings.policy.budgets.concurrent}
        web = asyncio.create_task(self._web.serve(sockets=[_listen(self._parts.settings)]), name="web")
        worker = asyncio.create_task(self._queue.run_worker(rooms), name="worker")
        stream = asyncio.create_task(self._stream.run(), name="kafka") if self._stream.on else None
        remediations = asyncio.create_task(self._remediations.run(), name="remediations")
        waiter = asyncio.create_task(stop.wait(), name="stop")
        try:
            if self._socket:
                await self._socket.open()
            clock.start()
            ready()
            log.info("ready", slack=self._parts.settings.slack_mode, listen=self._parts.settings.listen_port)
            await asyncio.wait({web, worker, waiter}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
            if clock.running:
                clock.shutdown(wait=False)
            if self._socket:
                await self._socket.aclose()
            worker.cancel()
            remediations.cancel()
            await asyncio.gather(remediations, return_exceptions=True)
            if stream:
                stream.cancel()
                await asyncio.gather(stream, return_exceptions=True)
            self._web.should_exit = True
            ended = await asyncio.gather(web, worker, return_exceptions=True)
            with contextlib.suppress(TocsinError):
                await self._refusals.write(everything=True)
        for problem in ended:
            if isinstance(problem, Exception):
                raise problem

    async def ready(self) -> Mapping[str, Part]:
        """Say which parts answer; Postgres and Slack are required."""
        await self._parts.cache.get("ready")  # nobody may have asked it since it went or came back
        away = self._parts.cache.degraded
        parts = {
            "postgres": await self._postgres(),
            "cache": Part(not away, "Redis is away: limits are per process" if away else ""),
        }
        if self._stream.on:
            parts["kafka"] = self._stream.part()
        if self._socket:
            alive = await self._socket.alive()
            parts["slack"] = Part(alive, "" if alive else "Socket Mode is not connected", required=True)
        return parts

    async def _postgres(self) -> Part:
        try:
            async with asyncio.timeout(READY_S), self._parts.db.connection() as conn:
                await conn.execute("SELECT 1")
        except TimeoutError:
            return Part(False, f"Postgres did not answer within {READY_S:g} s", required=True)
        except TocsinError as error:
            return Part(False, str(error), required=True)
        return Part(True, required=True)

    async def _count_jobs(self) -> None:
        counts = await self._queue.counts()
        self._metrics.oldest_job.set(counts.pop("oldest_s"))
        for state, number in counts.items():
            self._metrics.jobs.labels(state).set(number)

    def _doors(self, app: AsyncApp | None) -> Doors:
        settings = self._parts.settings
        return Doors(
            receive=self._intake.receive,
            ready=self.ready,
            metrics=self._metrics,
            now=time,
            webhook_token=settings.webhook_token.get_secret_value(),
            webhook_tokens=tokens_of(settings.webhook_tokens.get_secret_value()),
            signing_secret=settings.slack_signing_secret.get_secret_value(),
            slack=AsyncSlackRequestHandler(app).handle if app else None,
            refused=self._refusals.note,
        )


async def identify(client: AsyncWebClient) -> Identity:
    """Ask Slack who we are; wait for it as long as it does not answer, raise Permanent when it refuses the token."""
    while True:
        try:
            answer = await call(client.auth_test)
        except Temporary as error:
            log.warning("waiting_for_slack", error=str(error))
            await asyncio.sleep(error.delay)
        else:
            return Identity(team=str(answer["team_id"]), user=str(answer["user_id"]))


def _listen(settings: Settings) -> socket.socket:
    """Take the port ourselves: uvicorn would end the process from inside a task when it is taken."""
    host, port = settings.listen_host, settings.listen_port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise Permanent(
            f'TOCSIN_LISTEN="{host}:{port}" cannot be listened on: {error.strerror}; choose another address or port'
        ) from error


def _web_server(app: Starlette) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
    )
