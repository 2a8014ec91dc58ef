"""Remediations: approved changes as resources of the cluster, and resources as a way to ask for a change. Optional.

bot/service.py runs `run` beside the worker and passes every run of an approved change through `checked`. In each cluster one
replica at a time leads, by a lock in Postgres that ends with its connection; what it does is safe to do twice all the same.

- spec.py: what a resource asks for, and how ours look
- status.py: what the record says, as a status
- taking.py: a resource made by hand becomes a proposal, once; edited or deleted, it is withdrawn
- keeping.py: one look at everything
- origin.py: whether an incident came from here
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from bot.lifecycle import Lifecycle
from bot.policy import Policy
from bot.remediations.keeping import Keeping
from bot.remediations.taking import Taking, is_of
from tools.clusters import Actors
from tools.errors import Permanent, TocsinError
from tools.kube import NotFound
from tools.remediations import Expired, Obj, RemediationsClient
from tools.store import proposals
from tools.store import remediations as store
from tools.store.runs import alone

log = structlog.get_logger()
LEAD_S = 60.0  # then all is listed again, and another replica may lead
WATCH_S = 5
LOOK_EVERY_S = 2.0  # for what changes in the record
FOLLOW_S = 5.0  # between tries of a replica that does not lead
ABSENT_S = 30.0  # between tries while the cluster has no such kind, or refuses
ORDER = (
    "the list of Remediations is cut off: delete old ones (kubectl delete rem -l app.kubernetes.io/managed-by=tocsin)"
)


class Remediations:
    """Keeps the Remediations of every cluster that can be changed; does nothing unless tocsin.yaml enables it."""

    def __init__(self, life: Lifecycle, policy: Policy, actors: Actors) -> None:
        self._life = life
        self.on = policy.remediations.enabled and bool(actors)
        self._taking = taking = Taking(life, policy)
        self._keeping = {
            name: Keeping(RemediationsClient(kube), taking)
            for name, kube in (actors.by_name.items() if self.on else ())
        }

    async def run(self) -> None:
        """Keep them until cancelled; what goes wrong in one cluster is logged and tried again."""
        async with asyncio.TaskGroup() as group:
            for name, keeping in self._keeping.items():
                group.create_task(self._keep(name, keeping))

    async def _keep(self, name: str, keeping: Keeping) -> None:
        said = ""
        while True:
            pause, told = FOLLOW_S, ""
            try:
                async with alone(self._life.db, f"remediations of {name}") as mine:
                    if mine:
                        await self.lead(keeping, LEAD_S)
                        pause = 0.0
            except Expired:
                pause = 0.0
            except NotFound:
                pause, told = (
                    ABSENT_S,
                    "the cluster has no kind Remediation: kubectl apply -k deploy/kustomize/remediations",
                )
            except Permanent as error:
                pause, told = ABSENT_S, str(error)
            except TocsinError as error:
                told = str(error)
            if told and told != said:
                log.warning("remediations", cluster=name, problem=told)
            said = told
            await asyncio.sleep(pause)

    async def lead(self, keeping: Keeping, seconds: float) -> None:
        """List once, then watch and look for *seconds*; raises what the cluster or the database says."""
        listed = await keeping.client.list()
        if listed.more:
            log.warning("remediations", cluster=keeping.client.cluster, problem=ORDER)
        known = {obj["metadata"]["uid"]: obj for obj in listed.items}
        woken = asyncio.Event()
        watching = asyncio.create_task(_watch(keeping.client, listed.version, known, woken))
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while loop.time() < until:
                woken.clear()
                await keeping.look(known, whole=not listed.more)
                if watching.done():
                    watching.result()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), LOOK_EVERY_S)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    def checked(self, carry_out: Callable[[str], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
        """Return *carry_out* behind a last look: a change that a resource asked for runs only while the resource asks for it.

        Raises Temporary when the cluster does not say so now: nothing was done, call again.
        """

        async def run(proposal_id: str) -> None:
            async with self._life.db.connection() as conn:
                proposal = await proposals.get(conn, proposal_id)
                rows = await store.of_incident(conn, proposal.incident_id)
            for cluster, row in rows:
                if not row.incident_id or proposal.state != "approved" or not is_of(row, proposal):
                    continue
                keeping = self._keeping.get(cluster)
                why = await keeping.still(row) if keeping else "Remediations were turned off after it was shown"
                if why:
                    await self._taking.withdraw(row, why)
                    return
            await carry_out(proposal_id)

        return run


async def _watch(client: RemediationsClient, version: str, known: dict[str, Obj], woken: asyncio.Event) -> None:
    """Keep *known* up to date from *version* on, one bounded watch after the other, each going on where the last one ended."""
    try:
        while True:
            async for kind, obj in client.watch(version, WATCH_S):
                meta = obj["metadata"]
                version = str(meta.get("resourceVersion") or version)
                if kind == "DELETED":
                    known.pop(meta["uid"], None)
                else:
                    known[meta["uid"]] = obj
                woken.set()
    finally:
        woken.set()
