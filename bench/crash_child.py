"""One process that carries out an approved change and ends itself by SIGKILL at a chosen await; bench/crash_lane.py forks it.

The run's coroutine is driven by hand: each time it gives control back to the event loop is one await point, and it can be
ended on either side of it, when the request or statement has just been handed over, or when its answer is there. Between
two await points nothing leaves the process, so these are all the places where it can matter.
"""

import asyncio
import importlib
import os
import signal
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bot.approvals import Approvals
from bot.approvals import Parts as ApprovalParts
from bot.authority.people import People
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Approvers, Policy
from tools import actions
from tools.clusters import Actors, Views
from tools.errors import Temporary
from tools.kube import Kube
from tools.queue import Queue
from tools.registry import plugins
from tools.sources import Sources
from tools.store.db import Database

Side = Literal["sent", "answered"]
PEOPLE = ("U0DANA", "U0SAM")
TEAM = "T0DRILL"
POLICY = Policy(approvers=Approvers(default=PEOPLE))
ANSWER_S = 1.5  # how long the API server is waited for; one that hangs costs this much
TRIES = 100

for _heavy in ("kubernetes.client", "kubernetes.config", "urllib3"):  # so that each fork has them already
    importlib.import_module(_heavy)
plugins(actions)


def now() -> datetime:
    """Return the wall clock in UTC."""
    return datetime.now(UTC)


@dataclass
class Parts:
    """The run path of the product over one database and one cluster."""

    db: Database
    kube: Kube
    life: Lifecycle
    approvals: Approvals

    async def aclose(self) -> None:
        """Close the connections."""
        await self.kube.aclose()
        await self.db.aclose()


async def open_parts(dsn: str, kubeconfig: str, answer_s: float = ANSWER_S) -> Parts:
    """Wire it as bot/service.py does."""
    db = await Database.open(dsn, max_size=3, timeout_s=60)
    kube = Kube(kubeconfig, timeout_s=answer_s)
    life = Lifecycle(db, Queue(db), now, 15.0)
    parts = ApprovalParts(
        life=life,
        policy=POLICY,
        people=People(_nobody, POLICY.changes.oncall),
        actors=Actors.one(kube),
        views=Views.one(Sources(clock=now)),
        team=TEAM,
        metrics=Metrics(),
    )
    return Parts(db, kube, life, Approvals(parts))


async def _nobody(group: str) -> frozenset[str]:  # noqa: ARG001  # the policy names people alone
    return frozenset()


class Stepped:
    """Drives a coroutine and counts its await points; ends the process at the *die_at*-th (0: never) on that *side*."""

    def __init__(self, inner: Coroutine[Any, Any, None], die_at: int, side: Side) -> None:
        self.points = 0
        self._inner, self._die_at, self._side = inner, die_at, side

    def __await__(self) -> Generator[Any, Any, None]:
        """Pass everything on between the coroutine and the event loop."""
        send, value = self._inner.send, None
        while True:
            try:
                waits_for = send(value)
            except StopIteration:
                return
            self.points += 1
            self._perhaps("sent")
            try:
                value = yield waits_for
                send = self._inner.send
            except BaseException as error:  # noqa: BLE001  # a cancellation goes on to the coroutine
                send, value = self._inner.throw, error
            self._perhaps("answered")

    def _perhaps(self, side: Side) -> None:
        if self.points == self._die_at and side == self._side:
            os.kill(os.getpid(), signal.SIGKILL)


def carry_out(dsn: str, kubeconfig: str, proposal_id: str, die_at: int, side: Side, told: str) -> None:
    """Run the proposal as the job does, in this process; write the number of await points to *told* when it survives."""
    points = asyncio.run(_carry_out(dsn, kubeconfig, proposal_id, die_at, side))
    Path(told).write_text(str(points))


async def _carry_out(dsn: str, kubeconfig: str, proposal_id: str, die_at: int, side: Side) -> int:
    parts = await open_parts(dsn, kubeconfig)
    points = 0
    try:
        for _ in range(TRIES):
            stepped = Stepped(parts.approvals.run(proposal_id), die_at - points if die_at > points else 0, side)
            try:
                await stepped
            except Temporary:  # the job queue calls again: the dead process's session may not be over yet
                points += stepped.points
                await asyncio.sleep(0.1)
            else:
                return points + stepped.points
    finally:
        await parts.aclose()
    raise TimeoutError(f"proposal {proposal_id} is not to be had")
