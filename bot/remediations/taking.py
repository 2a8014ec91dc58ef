"""A Remediation made by hand becomes a proposal like any other, once; edited or deleted, its open proposal is withdrawn.

bot/remediations/keeping.py calls it. Each step is one transaction that writes the row of tools/store/remediations with it, so
that a crash, a second replica or a repeated event leaves either all of it or nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from agents.incident import AlertResolved, Diagnosed, Opened, State, Withdrawn
from bot.authority.order import version
from bot.lifecycle import Lifecycle
from bot.policy import Policy
from bot.remediations.origin import REASON
from bot.remediations.spec import RefusedError, Request, request_of
from tools.records import Alert, Case, Diagnosis, Incident, Proposal, Suggestion
from tools.remediations import Obj
from tools.store import incidents, proposals
from tools.store import remediations as store
from tools.store.db import Connection
from tools.store.remediations import Taken

MOST_OPEN = 20  # requests of one cluster that are open at once; the next ones wait
EDITED = "its Remediation was edited after it was shown"
DELETED = "its Remediation was deleted"


@dataclass(frozen=True)
class Taking:
    """Takes requests up and withdraws them."""

    life: Lifecycle
    policy: Policy

    async def take(self, cluster: str, obj: Obj) -> tuple[Taken | None, str]:
        """Take a resource up at its generation; return its newest row, and why it is not taken up yet ("" when it is)."""
        meta = obj["metadata"]
        uid, generation = str(meta["uid"]), int(meta.get("generation") or 1)
        async with self.life.db.transaction() as conn:
            await store.lock(conn, cluster, uid)
            before = await store.of_uid(conn, cluster, uid)
            if before and (before.generation >= generation or before.proposal_id):
                return before, ""
            if before and not await self._let_go(conn, before, EDITED):
                return before, "the spec was edited while the change was being carried out: it is looked at afterwards"
            try:
                asked = request_of(obj, self.policy.remediations.namespace)
                channel = self._channel(asked)
            except RefusedError as no:
                return await self._keep(conn, cluster, obj, refused=str(no)), ""
            if await store.open_count(conn, cluster) >= MOST_OPEN:
                return None, f"it waits: {MOST_OPEN} other Remediations made by hand are open"
            incident = await self._open(conn, cluster, meta, asked, channel)
            return await self._keep(conn, cluster, obj, incident_id=incident.id, params=dict(asked.params)), ""

    async def _keep(self, conn: Connection, cluster: str, obj: Obj, **what: Any) -> Taken:
        meta, spec = obj["metadata"], dict(obj.get("spec") or {})
        params = what.pop("params", None)
        kept = spec if params is None else {"action": spec.get("action"), "params": params}
        taken = Taken(meta["uid"], int(meta.get("generation") or 1), meta["namespace"], meta["name"], kept, **what)
        await store.take(conn, cluster, taken, self.life.clock())
        return taken

    def _channel(self, asked: Request) -> str:
        """Return where it is shown: the channel of the service that it changes, else the one of remediations."""
        service = self.policy.service_of_target(asked.params)
        own = self.policy.service(service).channel if service else ""
        found = own or self.policy.remediations.channel or self.policy.channels.default
        if not found:
            raise RefusedError(
                "there is no channel to show it in; set remediations.channel or channels.default in tocsin.yaml, then create it again"
            )
        return found

    async def _open(
        self, conn: Connection, cluster: str, meta: Mapping[str, Any], asked: Request, channel: str
    ) -> Incident:
        named = f"{meta['namespace']}/{meta['name']}"
        alert = Alert(
            fingerprint=f"remediation:{meta['uid']}",
            sender="remediation",
            name=f"Remediation {named}",
            status="firing",
            severity="info",
            namespace=str(asked.params.get("namespace") or ""),
            cluster=cluster,
            annotations={"summary": asked.why} if asked.why else {},
        )
        why = f"Remediation {named} asks for it" + (f': "{asked.why}"' if asked.why else "")
        diagnosis = Diagnosis(
            headline=f"Remediation {named} asks for a {asked.action.replace('_', ' ')}",
            by="rules",
            confidence=0.0,
            conclusive=False,
            suggestions=(Suggestion(action=asked.action, params=asked.params, why=why),),
            notes=("nothing was diagnosed: somebody created this in the cluster, and who it was is not known",),
        )
        # The key is nobody else's, so nothing joins; the row in `remediations` is what makes it happen once.
        key = f"remediation:{meta['uid']}:{meta.get('generation', 1)}:{uuid4()}"
        incident, _ = await incidents.open_or_join(conn, key, alert, channel, "", self.life.clock())
        await self.life.record_on(conn, incident.id, Opened(alert=alert, reason=REASON))
        await self.life.record_on(conn, incident.id, Diagnosed(diagnosis=diagnosis))
        return incident

    async def deleted(self, cluster: str, taken: Taken) -> None:
        """Withdraw what an absent resource asked for; a change that is being carried out goes on."""
        async with self.life.db.transaction() as conn:
            await store.lock(conn, cluster, taken.uid)
            newest = await store.of_uid(conn, cluster, taken.uid)
            if newest is None or newest.gone:
                return
            if await self._let_go(conn, newest, DELETED):
                await store.gone(conn, cluster, taken.uid)

    async def withdraw(self, taken: Taken, why: str) -> None:
        """Void an approval whose resource is no longer what was shown."""
        async with self.life.db.transaction() as conn:
            await self._let_go(conn, taken, why)

    async def close(self, case: Case) -> None:
        """End the incident of a request that is settled: no alert will."""
        async with self.life.db.transaction() as conn:
            incident, _ = await incidents.lock(conn, case.incident.id)
            if incident.state in ("open", "diagnosed", "recovered"):
                await self._over(conn, incident)

    async def _let_go(self, conn: Connection, taken: Taken, why: str) -> bool:
        """Take the request's proposal off the table and end its incident; False while it is being carried out."""
        if taken.incident_id is None:
            return True
        incident, stored = await incidents.lock(conn, taken.incident_id)
        on_table = State.model_validate(stored).proposal_id
        if on_table:
            proposal = await proposals.lock(conn, on_table)
            if not is_of(taken, proposal):
                return True  # an undo that is offered stands on its own
            if not await proposals.mark(conn, on_table, "superseded", from_states=("proposed", "approved")):
                return incident.state not in ("running", "verifying")
            event = Withdrawn(proposal_id=on_table, reason=why, policy=version(self.policy))
            await self.life.record_on(conn, incident.id, event)
            incident, _ = await incidents.lock(conn, incident.id)
        if incident.state != "resolved":
            await self._over(conn, incident)
        return True

    async def _over(self, conn: Connection, incident: Incident) -> None:
        alert = incident.alert.model_copy(update={"status": "resolved"})
        await self.life.record_on(conn, incident.id, AlertResolved(alert=alert))


def is_of(taken: Taken, proposal: Proposal) -> bool:
    """Say whether *proposal* is the change that the request asks for, not its undo or one that took its place."""
    return (proposal.action, proposal.params) == (taken.spec.get("action"), taken.spec.get("params"))
