"""Brings a cluster's Remediations and the record together: what was created is taken up, what the record says is shown.

bot/remediations/__init__.py calls `look` under the cluster's lock, as often as it likes. Level-triggered: each look compares
all that is there with all that is recorded, so a missed event, a crash or a second caller changes nothing.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from bot.remediations import status
from bot.remediations.spec import body_of, name_of, place_of, proposal_of, spec_of
from bot.remediations.taking import Taking, is_of
from tools.errors import Permanent, Temporary, TocsinError
from tools.kube import Conflict, NotFound
from tools.records import Case, Proposal
from tools.remediations import Obj, RemediationsClient
from tools.store import incidents, proposals
from tools.store import remediations as store
from tools.store.db import NotFound as NotOnRecord
from tools.store.remediations import Taken

log = structlog.get_logger()
LOOK_BACK = timedelta(days=7)  # changes older than this get no resource any more
SETTLE = timedelta(minutes=2)  # an undo may still be offered so long after a verdict
EDITED = "The spec was edited here: that changes nothing, the record stands."
Known = MutableMapping[str, Obj]


@dataclass
class Keeping:
    """Keeps the Remediations of one cluster."""

    client: RemediationsClient
    taking: Taking
    seen: dict[str, tuple[object, ...]] = field(default_factory=dict)

    async def look(self, known: Known, *, whole: bool = True) -> None:
        """Compare the cluster's resources, *known* by uid, with the record; *whole*: these are all there are."""
        cluster, db = self.client.cluster, self.taking.life.db
        async with db.connection() as conn:
            rows = await store.all_of(conn, cluster)
            newest = await store.latest(conn, [row.incident_id for row in rows.values() if row.incident_id])
            unshown = await store.unshown(conn, cluster, self.taking.life.clock() - LOOK_BACK)
        if whole:
            for uid in rows.keys() - known.keys():
                await self._absent(rows[uid])
        for proposal in unshown:
            await self._show(known, proposal)
        for uid, obj in list(known.items()):
            row = rows.get(uid)
            mark = (obj["metadata"].get("resourceVersion"), row, newest.get(row.incident_id or 0) if row else None)
            if row and row.incident_id and self.seen.get(uid) == mark and await self._rests(row):
                continue
            await self._safely(known, obj)
            self.seen[uid] = mark

    async def _rests(self, row: Taken) -> bool:
        """Whether nothing but time could change what is shown: then only a settled request is closed late."""
        if row.incident_id is None or row.proposal_id:
            return row.proposal_id is None
        async with self.taking.life.db.connection() as conn:
            incident = await incidents.get(conn, row.incident_id)
        return incident.state in ("resolved", "proposed", "running", "verifying", "open")

    async def _safely(self, known: Known, obj: Obj) -> None:
        """Look at one resource; what is wrong with one does not stop the others."""
        meta = obj["metadata"]
        try:
            await self._one(known, obj)
        except NotFound:
            known.pop(meta["uid"], None)  # deleted meanwhile; the watch says so too
        except Permanent as error:
            log.warning("remediation_failed", resource=f"{meta['namespace']}/{meta['name']}", error=str(error))

    async def _one(self, known: Known, obj: Obj) -> None:
        proposal = await self._own(obj)
        if proposal is not None:
            await self._mirror(known, obj, proposal)
            return
        row, later = await self.taking.take(self.client.cluster, obj)
        generation = row.generation if row else 0
        if row is None or row.refused:
            said = status.refused(row.refused) if row else status.waiting(later)
            if row:
                await self._tell(obj, row.refused)
            await self._write(
                known, obj, status.complete(said, generation, _status(obj), self.taking.life.clock(), same=True)
            )
            return
        case, asked = await self._case(row)
        said = status.of_case(case, asked)
        edited = later[:1].upper() + later[1:] + "." if later else ""
        now = self.taking.life.clock()
        full = status.complete(said, generation, _status(obj), now, same=not edited, edited=edited)
        if said["phase"] == "Refused" and asked is None:
            await self._tell(obj, said["message"])
        await self._write(known, obj, full)
        if said["phase"] in status.SETTLED and self._settled(case):
            await self.taking.close(case)

    async def _own(self, obj: Obj) -> Proposal | None:
        """Return the proposal of the record that a resource shows; None for one that was made by hand."""
        proposal_id = proposal_of(obj["metadata"]["name"])
        if not proposal_id:
            return None
        async with self.taking.life.db.connection() as conn:
            try:
                found = await proposals.get(conn, proposal_id)
            except NotOnRecord:
                return None
        home = self.taking.policy.remediations.namespace
        here = (found.plan.cluster, place_of(found, home)) == (self.client.cluster, obj["metadata"]["namespace"])
        return found if here else None

    async def _mirror(self, known: Known, obj: Obj, proposal: Proposal) -> None:
        """Show the record of a change of ours; whatever its resource says."""
        meta = obj["metadata"]
        async with self.taking.life.db.transaction() as conn:
            case = await incidents.case(conn, proposal.incident_id)
            taken = Taken(meta["uid"], 1, meta["namespace"], meta["name"], spec_of(proposal), proposal_id=proposal.id)
            await store.take(conn, self.client.cluster, taken, self.taking.life.clock())
        same = obj.get("spec") == spec_of(proposal)
        said = status.of_case(case, proposal)
        now, generation = self.taking.life.clock(), int(meta.get("generation") or 1)
        full = status.complete(said, generation, _status(obj), now, same=same, edited="" if same else EDITED)
        await self._write(known, obj, full)

    async def _show(self, known: Known, proposal: Proposal) -> None:
        """Create the resource of an approved change, or find the one that was created and not recorded."""
        namespace = place_of(proposal, self.taking.policy.remediations.namespace)
        async with self.taking.life.db.connection() as conn:
            rows = await store.of_incident(conn, proposal.incident_id)
        if any(row.incident_id and is_of(row, proposal) for _, row in rows):
            return  # the resource that asked for it shows it
        try:
            try:
                made = await self.client.create(namespace, body_of(proposal, namespace))
            except Conflict:
                made = await self.client.get(namespace, name_of(proposal.id))
        except Permanent as error:  # no such namespace any more, a quota, a webhook: the change itself is not touched
            log.warning("remediation_not_created", proposal=proposal.id, error=str(error))
            return
        known[made["metadata"]["uid"]] = made

    async def _absent(self, row: Taken) -> None:
        """Believe that a resource is gone only when the API server says so now."""
        try:
            found = await self.client.get(row.namespace, row.name)
        except NotFound:
            found = {}
        if (found.get("metadata") or {}).get("uid") != row.uid:
            await self.taking.deleted(self.client.cluster, row)
            self.seen.pop(row.uid, None)

    async def still(self, row: Taken) -> str:
        """Say why what was approved may not run for its resource, "" when it may: it is there, and as it was shown."""
        try:
            found = await self.client.get(row.namespace, row.name)
        except NotFound:
            return "its Remediation was deleted"
        if found["metadata"]["uid"] != row.uid:
            return "its Remediation was deleted and created again"
        if int(found["metadata"].get("generation") or 1) != row.generation:
            return "its Remediation was edited after it was shown"
        return ""

    async def _case(self, row: Taken) -> tuple[Case, Proposal | None]:
        async with self.taking.life.db.connection() as conn:
            case = await incidents.case(conn, row.incident_id or 0)
        mine = [one for one in case.proposals if is_of(row, one)]
        return case, mine[-1] if mine else None

    def _settled(self, case: Case) -> bool:
        """Whether nothing more follows by itself from what was decided last."""
        last = case.timeline[-1]
        return (
            last.kind != "verified"
            or self.taking.life.clock() >= last.at + SETTLE
            or case.incident.state == "recovered"
        )

    async def _tell(self, obj: Obj, message: str) -> None:
        """Write the event once: the status that says the same is written after it."""
        if _status(obj).get("message") == message[:1000]:
            return
        try:
            await self.client.event(obj, "Refused", message, f"{self.taking.life.clock():%Y-%m-%dT%H:%M:%SZ}")
        except (Conflict, Temporary):
            pass
        except TocsinError as error:
            log.warning("remediation_event", error=str(error))

    async def _write(self, known: Known, obj: Obj, full: status.Status) -> None:
        if _status(obj) == full:
            return
        meta = obj["metadata"]
        known[meta["uid"]] = await self.client.set_status(meta["namespace"], meta["name"], full)


def _status(obj: Obj) -> Obj:
    found = obj.get("status")
    return found if isinstance(found, dict) else {}
