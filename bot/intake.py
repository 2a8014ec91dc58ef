"""From a raw event to alerts: keep it, read it, hand each alert to admission (bot/admit.py), or say why not.

`receive` runs before Slack or a webhook is acknowledged (bot/keep.py, bot/web.py); `process` is the job
that the same transaction defers.
"""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import structlog

from agents.incident import Noted
from bot.admission.model import Place
from bot.admit import Admission, Heard
from bot.channels import Channels
from bot.facts import ForeignSilences
from bot.inbox import Inbox
from bot.labels import Labels
from bot.lifecycle import Lifecycle
from bot.metrics import Metrics
from bot.policy import Policy
from bot.sources import Kind, Unreadable, read
from tools.records import Alert, Incident
from tools.store import inbox, incidents

log = structlog.get_logger()

Say = Callable[[str, str, str, str], Awaitable[None]]
TOGETHER = 100  # alerts of one transaction, about a tenth of a second
_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")
_NOT_NEW = frozenset({"message_changed", "message_deleted", "channel_join", "channel_leave", "channel_topic"})


class Intake:
    """Reads what arrives; *say(channel, thread_ts, key, text)* posts one sentence, once per key; *foreign*: Alertmanager's silences."""

    def __init__(
        self,
        life: Lifecycle,
        policy: Policy,
        channels: Channels,
        labels: Labels,
        say: Say,
        metrics: Metrics,
        foreign: ForeignSilences | None = None,
    ) -> None:
        self._life = life
        self._inbox = Inbox(life.db, life.queue)
        self._policy = policy
        self._channels = channels
        self._labels = labels
        self._say = say
        self._metrics = metrics
        self.admission = Admission(life, policy, channels, labels, metrics, foreign or ForeignSilences(None))

    async def receive(self, event_id: str, kind: str, payload: Mapping[str, Any]) -> bool:
        """Keep a raw event and defer its reading, in one transaction; False when *event_id* was seen before."""
        return await self._inbox.receive(event_id, kind, payload)

    async def process(self, event_id: str) -> None:
        """Read one kept event; what nobody can read stays in the inbox with the reason."""
        async with self._life.db.connection() as conn:
            event = await inbox.get(conn, event_id)
        if event is None or event.state != "new":
            return
        handle = self._slack_event if event.kind == "slack_event" else self._webhook
        try:
            await handle(event.payload, event_id)
        except Unreadable as error:
            log.info("unreadable", event_id=event_id, reason=str(error))
            self._metrics.unreadable.labels(event.kind).inc()
            async with self._life.db.connection() as conn:
                await inbox.failed(conn, event_id, str(error))
            return
        async with self._life.db.connection() as conn:
            await inbox.done(conn, event_id)

    async def process_many(self, event_ids: Sequence[str]) -> list[str]:
        """Read kept events together, in one transaction; return those that `process` must read one by one.

        Those are what is no notification: messages with several alerts, people's words, what nobody can read.
        """
        async with self._life.db.connection() as conn:
            events = await inbox.get_new(conn, event_ids)
        heard: list[list[Heard]] = []
        alone: list[str] = []
        for event in events:
            try:
                alerts = await self._alerts_of(event)
            except Unreadable:
                alerts = None
            if not alerts:
                alone.append(event.event_id)
            else:
                heard.append(alerts)
        for some in _portions(heard):
            settles = list(dict.fromkeys(one.event_id for one in some))
            await self.admission.admit_all(some, settles)
        return alone

    async def _alerts_of(self, event: inbox.Received) -> list[Heard] | None:
        """Return the alerts of an event that says nothing else, None for one that has to be looked at alone."""
        name, services = event.event_id, await self._labels.services()
        if event.kind != "slack_event":
            alerts = read("webhook", event.payload, services, sender=name.partition(":")[0])
            return [Heard(alert, Place(), name) for alert in alerts]
        said: Mapping[str, Any] = event.payload.get("event") or {}
        channel, ts = str(said.get("channel") or ""), str(said.get("ts") or "")
        if said.get("thread_ts") or not self._is_alert(said) or not await self._channels.watched(channel):
            return None
        alerts = read("slack", said, services)
        return [Heard(alerts[0], Place(channel, ts), name)] if len(alerts) == 1 else None

    @staticmethod
    def _is_alert(said: Mapping[str, Any]) -> bool:
        fresh = said.get("type") == "message" and said.get("subtype") not in _NOT_NEW and not said.get("hidden")
        return fresh and bool(said.get("bot_id") or said.get("attachments"))

    async def _webhook(self, payload: Mapping[str, Any], event_id: str) -> None:
        alerts = read("webhook", payload, await self._labels.services(), sender=event_id.partition(":")[0])
        await self.admission.admit_all([Heard(alert, Place(), event_id) for alert in alerts], [event_id])

    async def _slack_event(self, body: Mapping[str, Any], event_id: str) -> None:
        event: Mapping[str, Any] = body.get("event") or {}
        channel, ts, thread = (str(event.get(key) or "") for key in ("channel", "ts", "thread_ts"))
        if event.get("type") == "app_mention":
            await self._mentioned(event, Place(channel, thread or ts, str(event.get("user") or "")), event_id)
        elif event.get("subtype") in _NOT_NEW or event.get("hidden"):
            return
        elif thread and thread != ts:
            await self._note(event, channel, thread, ts)
        elif await self._channels.watched(channel) and (event.get("bot_id") or event.get("attachments")):
            try:
                await self.message(event, Place(channel, ts))
            except Unreadable as error:
                said = f"I could not read this as an alert. {error} It is kept. Ask me with `/diagnose <service>`."
                await self._say(channel, ts, f"unreadable:{channel}:{ts}", f":grey_question: {said}")
                raise

    async def message(self, message: Mapping[str, Any], place: Place) -> Incident | None:
        """Read a Slack message as one incident's alerts; raise Unreadable."""
        alerts = await self._read("slack", message)
        # One message has one thread, so its alerts are one incident; firing ones first, they may open it.
        key, incident = "", None
        for alert in sorted(alerts, key=lambda one: one.status):
            admitted = await self.admission.admit(alert, place, key)
            key, incident = admitted.group_key or key, admitted.incident or incident
        return incident

    async def question(self, text: str, place: Place, request_id: str) -> Incident | None:
        """Open an incident for the first known service that *text* names; None when it names none."""
        services = await self._labels.services()
        words = re.findall(r"[a-z0-9][a-z0-9.-]*", _MENTION.sub(" ", text).lower())
        service = next((found for word in words if (found := word.rstrip(".-")) in services), "")
        if not service:
            return None
        return await self.admit(asked(service, _MENTION.sub(" ", text).strip(), place.user, request_id), place)

    async def _read(self, kind: Kind, payload: Mapping[str, Any]) -> list[Alert]:
        return read(kind, payload, await self._labels.services())

    async def admit(self, alert: Alert, place: Place, group_key: str = "") -> Incident | None:
        """Decide about one alert (bot/admit.py); return its incident, None when it has none (yet)."""
        return (await self.admission.admit(alert, place, group_key)).incident

    async def _note(self, event: Mapping[str, Any], channel: str, thread: str, ts: str) -> None:
        """Keep what people say in an incident's thread: the post-mortem is written from it."""
        user, text = str(event.get("user") or ""), str(event.get("text") or "")
        if event.get("bot_id") or not user or not text:
            return
        async with self._life.db.connection() as conn:
            incident = await incidents.by_thread(conn, channel, thread)
        if incident:
            await self._life.record(incident.id, Noted(by=user, text=text[:4000], ts=ts), user)

    async def _mentioned(self, event: Mapping[str, Any], place: Place, event_id: str) -> None:
        """`@tocsin checkout is slow`: investigate the service that is named, in that message's thread."""
        async with self._life.db.connection() as conn:
            incident = await incidents.by_thread(conn, place.channel, place.ts)
        if incident:
            answer = f"This thread is incident {incident.id} ({incident.state}); the card above is up to date."
        elif await self.question(str(event.get("text") or ""), place, event_id):
            return
        else:
            services = ", ".join(sorted(await self._labels.services())[:20])
            hint = f"Name one of: {services}." if services else "I know no services yet."
            answer = f"I did not see a service in that. {hint} For example: `@tocsin checkout is slow`."
        await self._say(place.channel, place.ts, f"mention:{event_id}", answer)


def asked(service: str, text: str, user: str, request_id: str) -> Alert:
    """Return the alert that a person's question stands for; the request's id is its fingerprint."""
    return Alert(
        fingerprint=f"asked:{request_id}",
        sender="person",
        name="Diagnose",
        status="firing",
        severity="info",
        service=service,
        labels={"requested_by": user} if user else {},
        annotations={"summary": text} if text else {},
        group_key=f"asked:{request_id}",
    )


def _portions(heard: Sequence[list[Heard]]) -> Iterator[list[Heard]]:
    """Put the alerts of whole events together, at most TOGETHER, or those of one event: a transaction's locks are held briefly."""
    portion: list[Heard] = []
    for alerts in heard:
        if portion and len(portion) + len(alerts) > TOGETHER:
            yield portion
            portion = []
        portion += alerts
    if portion:
        yield portion
