"""Opening, joining and lining up: what admission decided, written into the store and the record; bot/admit.py calls it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from agents.incident import Event, Joined, Opened, Reopened
from bot.admission import caps
from bot.admission.model import RANK, Candidate, Decision, Facts, Load, Place
from bot.announce import Announcements
from bot.lifecycle import SYSTEM
from bot.lives import lived
from bot.matchers import labels_of
from bot.policy import Policy
from bot.together import Together
from tools.records import Alert, Incident
from tools.store import admission, aliases, decisions, incidents
from tools.store.db import Connection


@dataclass(frozen=True)
class Admitted:
    """What became of an alert: its incident (None: none), the key of its group ("" when it is in none), the reason."""

    incident: Incident | None
    group_key: str
    reason: str


@dataclass(frozen=True)
class Arrival:
    """One alert under decision: where it was read, the channel of its incident, and every fingerprint it has."""

    candidate: Candidate
    place: Place
    channel: str
    prints: frozenset[str]

    @property
    def alert(self) -> Alert:
        """The alert, with what Alertmanager and Prometheus know of it."""
        return self.candidate.alert


class Opening:
    """Writes decisions down; every method works inside the caller's transaction, which holds the group's locks."""

    def __init__(self, together: Together, policy: Policy) -> None:
        self._together = together
        self._life = together.life
        self._policy = policy
        self._tell = Announcements(together.life, policy)

    async def keep(self, conn: Connection, arrival: Arrival, decision: Decision, admitted: Admitted) -> None:
        """Keep the decision, and what it taught about the alert."""
        number = admitted.incident.id if admitted.incident else None
        life = lived(arrival.candidate, admitted.reason, number)
        if life is not None:
            await admission.note_life(conn, arrival.prints, life)
        self.decided(arrival, admitted.reason, decision.detail, number)
        past = arrival.candidate.facts.life
        if admitted.reason == "flapping" and admitted.incident and not (past and past.flapping):
            await self._tell.flapping(conn, arrival.alert, admitted.incident, decision.detail)

    async def learn(self, conn: Connection, arrival: Arrival, decision: Decision) -> None:
        """Keep what a repetition tells that was not known: another fingerprint, Alertmanager's key of the group."""
        group, alert = decision.group, arrival.alert
        if decision.reason != "repeated" or group is None or group.incident_id is None:
            return
        if len(arrival.prints) > 1:
            await aliases.remember(conn, group.incident_id, alert.fingerprint, arrival.prints)
        if alert.group_key and alert.group_key not in group.group_keys and alert.sender != "person":
            await admission.add_group(conn, group.incident_id, alert.group_key)

    def decided(self, one: Arrival, reason: str, detail: str, incident_id: int | None, *, first: bool = True) -> None:
        """Keep one decision; *first*: made when the alert arrived."""
        labels, now = labels_of(one.alert), self._life.clock()
        self._together.decided(decisions.New(one.alert, labels, reason, now, detail, incident_id, first))

    async def join(self, conn: Connection, arrival: Arrival, decision: Decision) -> Admitted:
        """Add an alert to an open incident, or continue one that is over."""
        number = decision.incident_id or (decision.group.incident_id if decision.group else None) or 0
        incident = await self._together.locked(conn, number)
        await aliases.remember(conn, number, arrival.alert.fingerprint, arrival.prints)
        known = decision.group.group_keys if decision.group else frozenset()
        if arrival.alert.group_key and arrival.alert.group_key not in known and arrival.alert.sender != "person":
            await admission.add_group(conn, number, arrival.alert.group_key)
        if RANK[arrival.alert.severity] > RANK[incident.alert.severity]:
            await self._together.raise_severity(conn, number, arrival.alert.severity)
        reason = f"{decision.reason}: {decision.detail}" if decision.detail else decision.reason
        event: Event = Joined(alert=arrival.alert, reason=reason)
        if incident.resolved_at:
            seen = await admission.diagnosed(conn, number)
            event = Reopened(alert=arrival.alert, reason=reason, diagnosed=seen)
        after = await self._together.record_on(conn, number, event, arrival.place.user or SYSTEM)
        return Admitted(after, incident.group_key, decision.reason)

    async def line_up(self, conn: Connection, arrivals: Sequence[Arrival], key: str, cap: str) -> int:
        """Let alerts wait under *key*: for companions, or (with a *cap*) for room; return the group's number."""
        first, now = arrivals[0], self._life.clock()
        pause = self._policy.caps.retry_seconds if cap else self._policy.grouping.debounce_seconds
        due = now + timedelta(seconds=pause)
        values = {
            "group_keys": sorted({one.alert.group_key for one in arrivals if one.alert.group_key}),
            "channel": first.channel,
            "critical": any(one.alert.severity == "critical" for one in arrivals),
            "started_at": first.alert.starts_at or first.candidate.at,
            "at": now,
            "due_at": due,
            "cap": cap,
        }
        row = await admission.wait(conn, key, first.alert, values)
        if not cap:
            due = self._policy.grouping.due(row["first_at"], now)
            await admission.wait_until(conn, row["id"], due, "")
        for one in arrivals:
            await admission.add_waiting(conn, row["id"], one.prints, one.alert, asdict(one.place))
        if row["made"]:
            await self.due(conn, row["id"], due)
        return int(row["id"])

    async def open(
        self,
        conn: Connection,
        arrivals: Sequence[Arrival],
        key: str,
        reason: str,
        *,
        waiting_id: int | None,
        facts: Facts | None = None,
        held: str = "",
    ) -> Admitted:
        """Open one incident for *arrivals*; those of them that waited (all but a new one) are decided a second time."""
        lead = min(arrivals, key=lambda one: -RANK[one.alert.severity])
        known = facts or lead.candidate.facts
        cap = "" if lead.candidate.asked else await self._over(conn, lead)
        new = [one for one in arrivals if not one.candidate.waited]
        if cap:
            if waiting_id is None:
                await self.line_up(conn, new, key, cap)
            else:
                await self.hold(conn, waiting_id, cap, new)
            await self._tell.held(conn, lead.channel, cap)
            for one in new:
                await self.keep(conn, one, Decision("hold", cap), Admitted(None, key, cap))
            return Admitted(None, key, cap)
        if waiting_id is not None:
            await admission.drop_group(conn, waiting_id)
        unknown = f"; Alertmanager's silences are unknown: {known.silences_unknown}" * bool(known.silences_unknown)
        incident = await self._start(conn, lead, key, reason + unknown)
        for one in arrivals:
            if one is not lead:
                await self.join(conn, one, Decision("join", "waited_together", incident_id=incident.id))
        for one in arrivals:
            decision = Decision("open", reason if one is lead else "waited_together")
            if one in new:
                await self.keep(conn, one, decision, Admitted(incident, key, decision.reason))
            else:
                self.decided(one, decision.reason, "", incident.id, first=False)
                await admission.belongs(conn, one.prints, incident.id)
        await self._tell.opened(conn, lead.channel, held, known.silences_unknown)
        return Admitted(incident, key, reason)

    async def _start(self, conn: Connection, one: Arrival, key: str, reason: str) -> Incident:
        """Open the incident of *key* in the thread of its message; join it when another is faster, or owns the thread."""
        ts = one.place.ts
        owner = await incidents.by_thread(conn, one.channel, ts) if ts else None
        if owner and owner.group_key != key:  # a thread belongs to one incident: join it, or start another thread
            key, ts = (key, "") if owner.resolved_at else (owner.group_key, ts)
        incident, opened = await incidents.open_or_join(conn, key, one.alert, one.channel, ts, self._life.clock())
        await aliases.remember(conn, incident.id, one.alert.fingerprint, one.prints)
        if one.alert.group_key and one.alert.sender != "person":
            await admission.add_group(conn, incident.id, one.alert.group_key)
        event: Event = Opened(alert=one.alert, reason=reason) if opened else Joined(alert=one.alert, reason=reason)
        return await self._together.record_on(conn, incident.id, event, one.place.user or SYSTEM)

    async def _over(self, conn: Connection, one: Arrival) -> str:
        await admission.lock(conn, ["caps"])
        row = await admission.load(conn, one.channel, one.alert.service, self._life.clock())
        return caps.over(self._policy.caps, Load(**row))

    async def hold(self, conn: Connection, waiting_id: int, cap: str, new: Sequence[Arrival] = ()) -> None:
        """Let a waiting group, with *new* alerts, wait for room; its job finds it again when it is due."""
        due = self._life.clock() + timedelta(seconds=self._policy.caps.retry_seconds)
        await admission.wait_until(conn, waiting_id, due, cap)
        for one in new:
            await admission.add_waiting(conn, waiting_id, one.prints, one.alert, asdict(one.place))
        if not new:
            await self.due(conn, waiting_id, due)

    async def due(self, conn: Connection, waiting_id: int, at: datetime) -> None:
        """Defer the job that opens a waiting group."""
        await self._life.queue.defer(conn, "open_group", lock=f"wait:{waiting_id}", at=at, waiting_id=waiting_id)
